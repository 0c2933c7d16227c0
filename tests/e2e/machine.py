"""A machine of its own that boots a real systemd in a container (systemd-nspawn).

Its /usr is this machine's, read-only; all else lies in memory and goes with it, so that units can
be installed, started and broken there as an administrator would. It has no network but loopback.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from compileall import compile_dir
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

from tests.deadline import DEADLINE
from tests.e2e.bounds import crowding
from tests.e2e.namespaces import entered
from tests.e2e.node import ROOT, until

_BOOT = 60.0
"""Seconds within which it has to have booted."""

_QUIET = ("systemd-networkd-wait-online.service", "systemd-firstboot.service")
"""Units that would wait for a network, and for somebody who answers questions."""

SOURCE = "/opt/gossipd/source"
"""Where a copy of the checkout lies inside, without tests: it may be below a directory that only
its owner may enter."""

_BASE = Path(sys.base_prefix)
_IS_SYSTEM = _BASE.is_relative_to("/usr")
_INTERPRETER = f"python{sys.version_info.major}.{sys.version_info.minor}"
_HOME = f"{_BASE if _IS_SYSTEM else '/opt/base'}/bin"

PYTHON = "/opt/gossipd/bin/python"
"""The running interpreter inside, in an environment of its own: not where it is outside, which may
be below /tmp or somebody's home, and units see neither."""

_PACKAGES = Path("/opt/python", Path(sysconfig.get_path("purelib")).relative_to(sys.prefix))

ENVIRONMENT = f"PYTHONPATH={SOURCE}:{_PACKAGES} PYTHONDONTWRITEBYTECODE=1" + (
    "" if _IS_SYSTEM else " LD_LIBRARY_PATH=/opt/base/lib"
)
"""Variables with which it finds itself and the package, as lines of shell and units have them."""

_CGROUPS_V2 = 258
"""The first systemd that boots with nothing else."""

_COMMAND = f"""#!/bin/sh
exec env {ENVIRONMENT} {PYTHON} -m gossipd "$@"
"""
"""What stands in for the installed command: the code under test, from the running interpreter."""

_SUDO = '#!/bin/sh\nexec "$@"\n'


@cache
def why_none() -> str:
    """Why no machine can be booted here; empty if one can."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    if shutil.which("systemd-nspawn") is None:
        return "booting a systemd needs systemd-container"
    if not Path("/usr/lib/systemd/systemd").exists():
        return "booting a systemd needs one in /usr/lib/systemd"
    if _version() >= _CGROUPS_V2 and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return f"this systemd ({_version()}) needs a kernel with cgroups v2"
    tried = ("unshare", "--mount", "--pid", "--net", "--fork", "true")
    made = subprocess.run(tried, capture_output=True, text=True, check=False)
    return f"no containers here: {made.stderr.strip()}" if made.returncode else ""


def _version() -> int:
    """Of systemd: its first line is `systemd 252 (252.39-1~deb12u1)`."""
    told = subprocess.run(("systemd-nspawn", "--version"), capture_output=True, check=True)
    return int(told.stdout.split()[1])


class Machine:
    """Booted while it is open."""

    def __init__(self, directory: Path) -> None:
        """`directory` takes what the machine needs of the outside, and its console."""
        self._directory = directory
        self._console = directory / "console"
        self._container: subprocess.Popen[bytes] | None = None
        self._init = 0

    def run(
        self, *command: str, stdin: IO[bytes] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root; its output is text."""
        inside = ("nsenter", f"--target={self._init}", "--all", "--root", "--wd", *command)
        done = subprocess.run(
            inside,
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE * crowding(),
            check=False,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        if check and done.returncode:
            said = f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            journal = self.run("journalctl", "-o", "cat", "--no-pager", "-n", "60", check=False)
            raise AssertionError(f"{said}{journal.stdout}")
        return done

    def shell(self, script: str) -> str:
        """Run lines of shell inside, to the first that fails; what they printed."""
        return self.run("sh", "-ec", script).stdout

    def journal(self, *options: str) -> list[str]:
        """The messages of the journal."""
        return self.run("journalctl", "-o", "cat", "--no-pager", *options).stdout.splitlines()

    def ask(self, method: str, port: int, path: str) -> Any:
        """What a node inside answers, asked from here: a command takes an interpreter. Raises
        `OSError` where it refuses, or nobody is there."""
        connection = http.client.HTTPConnection("127.0.0.1", port)
        with entered(f"/proc/{self._init}/ns/net"):
            connection.sock = socket.create_connection(("127.0.0.1", port), 10 * crowding())
        try:
            connection.request(method, path)
            response = connection.getresponse()
            data = json.loads(response.read())
            if response.status != 200:
                raise OSError(f"{path}: {response.status} {data}")
            return data
        finally:
            connection.close()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        local, opt = self._directory / "local", self._directory / "opt"
        for path, text in ((local / "bin" / "sudo", _SUDO), (opt / "bin" / "gossipd", _COMMAND)):
            path.parent.mkdir(parents=True)
            path.write_text(text)
            path.chmod(0o755)
        (opt / "bin" / "python").symlink_to(f"{_HOME}/{_INTERPRETER}")
        (opt / "pyvenv.cfg").write_text(f"home = {_HOME}\n")
        for folder in "gossipd", "systemd", "configs":
            shutil.copytree(ROOT / folder, opt / "source" / folder)
        for name in "pyproject.toml", "README.md", "LICENSE":
            shutil.copy(ROOT / name, opt / "source")
        compile_dir(opt / "source", quiet=1)  # nobody inside may write what it would compile
        shared = () if _IS_SYSTEM else (f"--bind-ro={_BASE}:/opt/base",)
        with self._console.open("wb") as console:
            self._container = subprocess.Popen(
                (
                    *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit"),
                    *("--directory=/", "--volatile=yes", "--private-network"),
                    *(f"--machine=gossipd-{secrets.token_hex(4)}", "--link-journal=no"),
                    *shared,
                    f"--bind-ro={sys.prefix}:/opt/python",
                    *(f"--bind={local}:/usr/local", f"--bind={opt}:/opt/gossipd", "--boot"),
                    *("systemd.unit=basic.target", "systemd.firstboot=off"),
                    *(f"systemd.mask={unit}" for unit in _QUIET),
                ),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        until(self._is_up, _BOOT, "the machine has booted")

    def _is_up(self) -> bool:
        assert self._container is not None
        if self._container.poll() is not None:
            raise AssertionError(f"the machine ended: {self._console.read_text(errors='replace')}")
        children = Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children")
        pids = children.read_text().split()
        if not pids:
            return False
        self._init = int(pids[0])
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def close(self) -> None:
        """End it and all that runs inside, at once."""
        if self._container is None:
            return
        if self._init:
            with suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGKILL)
        try:
            self._container.wait(20)
        except subprocess.TimeoutExpired:
            self._container.kill()
            self._container.wait(20)
