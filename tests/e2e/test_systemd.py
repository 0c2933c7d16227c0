"""The shipped units under a real systemd, installed as the README says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.e2e.machine import ENVIRONMENT, PYTHON, SOURCE, Machine, why_none
from tests.e2e.node import ROOT, until
from tests.effort import effort

pytestmark = pytest.mark.skipif(bool(why_none()), reason=why_none())

SYSTEMD = ROOT / "systemd"
PORTS = {"a": 7956, "b": 7966}
RESTARTS = effort(2, 3)
BACKUP = 'gossipd data backup "$DIR" /tmp/backup.db'


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("machine")) as booted:
        booted.shell("mkdir -p /etc/default /etc/gossipd")
        booted.shell(f"cd {SOURCE}\n{installation()}")
        for name, port in PORTS.items():
            lines = f'name = "{name}"', f'bind = "127.0.0.1:{port}"', 'join = ["127.0.0.1:7946"]'
            api = f'api = ["127.0.0.1:{port + 1}", "unix:/run/gossipd-{name}/api.sock"]'
            text = "\n".join([*lines, api])
            booted.shell(f"cat >/etc/gossipd/{name}.toml <<'END'\n{text}\nEND")
        yield booted


@pytest.fixture(autouse=True)
def forgiven(machine: Machine) -> None:
    """Units that were started often are started again."""
    machine.run("systemctl", "reset-failed")


def installation(document: str = "README.md", heading: str = "Under systemd") -> str:
    """What a section tells an administrator to do, but for what needs the network."""
    text = (ROOT / document).read_text()
    (block,) = re.findall(rf"## {heading}\n\n```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for line in block.splitlines() if "pip install" not in line]
    # The seeds of the example are not here; the node itself is.
    return "\n".join(line.replace("10.0.0.1,10.0.0.2", "127.0.0.1:7946") for line in lines)


def active(machine: Machine, unit: str) -> bool:
    return machine.run("systemctl", "is-active", unit, check=False).stdout.strip() == "active"


def count(machine: Machine, counter: str = "default") -> int:
    """Once the node is ready to say so."""
    said: list[int] = []

    def asked() -> bool:
        said[:] = [machine.ask("GET", 7947, f"/count?counter={counter}")["count"]]
        return bool(said)

    until(asked, 20, "the node is ready")
    return said[0]


def knows(machine: Machine, port: int = 7947) -> set[str]:
    """Whom the node with this API holds as alive."""
    members = machine.ask("GET", port, "/members")
    return {member["name"] for member in members if member["state"] == "alive"}


def test_the_installed_unit_serves_and_its_command_is_found(machine: Machine) -> None:
    until(lambda: active(machine, "gossipd"), 30, "the unit is active")
    assert machine.run("gossipd", "increment").stdout == "1\n"


def test_the_plain_unit_and_instances_run_beside_each_other(machine: Machine) -> None:
    units = ["gossipd", "gossipd@a", "gossipd@b"]
    for _ in range(effort(1, 2)):
        units.reverse()
        machine.run("systemctl", "restart", *units)
        assert [active(machine, unit) for unit in units] == [True] * 3
    for port in (7947, *(port + 1 for port in PORTS.values())):
        until(lambda port=port: len(knows(machine, port)) == 3, 20, "all are members")  # type: ignore[misc]
    assert len(machine.run("gossipd", "peers").stdout.split()) == 2
    here = ("gossipd", "peers", "--api", "unix:/run/gossipd-a/api.sock")
    assert len(machine.run(*here).stdout.split()) == 2, "by the Unix socket, too"


@pytest.mark.parametrize(
    ("save", "restore"),
    [
        (
            'gossipd data export "$DIR" >/tmp/log.jsonl',
            'gossipd data import "$DIR" </tmp/log.jsonl',
        ),
        (BACKUP, 'cp /tmp/backup.db "$DIR/gossipd.db"'),
        (
            BACKUP,
            'mkdir -p "$DIR.new" && cp /tmp/backup.db "$DIR.new/gossipd.db" && rm -r "$DIR"'
            ' && mv "$DIR.new" "$DIR"',
        ),
    ],
    ids=["import", "copy", "directory"],
)
def test_what_root_restores_into_the_directory_of_a_unit_is_used(
    machine: Machine, save: str, restore: str
) -> None:
    machine.run("systemctl", "stop", "gossipd@a", "gossipd@b")
    machine.run("systemctl", "start", "gossipd")
    before = machine.ask("POST", 7947, "/increment")["count"]
    machine.run("systemctl", "stop", "gossipd")
    machine.shell(
        "DIR=/var/lib/gossipd/$(hostname)\n"
        f'rm -f /tmp/log.jsonl /tmp/backup.db\n{save}\nrm "$DIR"/gossipd.db*\n{restore}'
    )
    machine.run("systemctl", "start", "gossipd")
    assert count(machine) == before


def test_a_usage_error_is_told_and_not_tried_again(machine: Machine) -> None:
    machine.shell("echo 'prob_interval = 1' >/etc/gossipd/wrong.toml")
    assert machine.run("systemctl", "start", "gossipd@wrong", check=False).returncode != 0
    shown = machine.run("systemctl", "show", "gossipd@wrong", "--property=NRestarts").stdout
    assert shown == "NRestarts=0\n"
    told = machine.journal("-u", "gossipd@wrong", "-t", "gossipd", "-p", "err")
    assert "prob_interval" in "\n".join(told)


def test_the_journal_shows_warnings_as_such_and_one_time(machine: Machine) -> None:
    machine.shell(
        'printf \'bind = "127.0.0.1:7976"\\njoin = ["no.such.name.invalid"]\\n\''
        " >/etc/gossipd/warned.toml"
    )
    machine.run("systemctl", "start", "gossipd@warned")
    unit = "-u", "gossipd@warned", "-t", "gossipd"
    until(lambda: machine.journal(*unit, "-p", "warning"), 20, "the wrong name is told")
    warnings = machine.journal(*unit, "-p", "warning")
    assert any("no.such.name.invalid" in line for line in warnings)
    levels = {line.split()[0] for line in machine.journal(*unit)}
    assert {line.split()[0] for line in warnings} == {"level=warning"}
    assert levels == {"level=info", "level=warning"}
    assert active(machine, "gossipd@warned")
    machine.run("systemctl", "stop", "gossipd@warned")


def test_a_reload_is_told_and_changes_what_can_change(machine: Machine) -> None:
    machine.run("systemctl", "start", "gossipd@a")
    machine.shell("echo 'tag = [\"rack=7\"]' >>/etc/gossipd/a.toml\nsystemctl reload gossipd@a")
    until(lambda: "rack" in str(machine.ask("GET", 7957, "/members")), 20, "the tag is there")
    assert "rack=7" in machine.run("gossipd", "members", "--api", "127.0.0.1:7957").stdout
    told = machine.journal("-u", "gossipd@a")
    assert any("read the configuration again: 1 changed, 0 cannot change" in line for line in told)
    until(lambda: active(machine, "gossipd@a"), 20, "the reload is over")
    reloaded = "Reloaded gossipd@a.service"
    until(lambda: reloaded in "\n".join(machine.journal("-u", "gossipd@a")), 20, "it is told")


def test_a_keyring_that_only_root_can_read_is_handed_over_as_a_credential(
    machine: Machine,
) -> None:
    """As the document says, for an instance of its own."""
    blocks = re.findall(r"```sh\n(.*?)```", (SYSTEMD / "README.md").read_text(), re.DOTALL)
    (block,) = [each for each in blocks if "keygen" in each]
    machine.shell("printf 'bind = \":7986\"\\n' >/etc/gossipd/sealed.toml")
    instance = block.replace("gossipd.service.d", "gossipd@sealed.service.d")
    machine.shell(instance.replace("restart gossipd", "restart gossipd@sealed"))
    assert machine.shell("stat --format=%a /etc/gossipd/keyring") == "600\n"
    until(lambda: active(machine, "gossipd@sealed"), 30, "the unit is active")
    (line,) = [
        line
        for line in machine.journal("-u", "gossipd@sealed", "-t", "gossipd")
        if "datagrams are sealed" in line
    ]
    assert "of /run/credentials/gossipd@sealed.service/keyring" in line
    assert "sealing=require" in line
    machine.run("systemctl", "stop", "gossipd@sealed")


def test_a_certificate_is_handed_over_as_a_credential(machine: Machine, tmp_path: Path) -> None:
    """As the document says, for an instance of its own."""
    (lines,) = re.findall(r"```ini\n(.*?)```", (SYSTEMD / "README.md").read_text(), re.DOTALL)
    ca = Authority(tmp_path)
    pair = ca.issue("node", "127.0.0.1")
    for path, name in ((ca.cert, "ca.pem"), (pair.cert, "api.pem"), (pair.key, "api.key")):
        machine.shell(f"umask 077\ncat >/etc/gossipd/{name} <<'END'\n{path.read_text()}END")
    machine.shell(
        "echo 'bind = \"127.0.0.1:7996\"' >/etc/gossipd/tls.toml\n"
        "mkdir -p /etc/systemd/system/gossipd@tls.service.d\n"
        "cat >/etc/systemd/system/gossipd@tls.service.d/tls.conf <<'END'\n"
        f"[Service]\n{lines}END\nsystemctl daemon-reload\nsystemctl start gossipd@tls"
    )
    until(lambda: active(machine, "gossipd@tls"), 30, "the unit is active")
    asked = ("--api", "https://127.0.0.1:7997", "--cacert", "/etc/gossipd/ca.pem")
    assert machine.run("gossipd", "increment", *asked).stdout == "1\n"
    machine.run("systemctl", "stop", "gossipd@tls")


def test_a_loop_that_stands_still_is_told_of_and_started_again(machine: Machine) -> None:
    machine.shell(
        f"cat >/opt/gossipd/stuck.py <<'END'\n{(ROOT / 'tests/e2e/stuck.py').read_text()}\nEND\n"
        "mkdir -p /run/systemd/system/gossipd@stuck.service.d\n"
        "cat >/run/systemd/system/gossipd@stuck.service.d/test.conf <<'END'\n"
        "[Service]\nWatchdogSec=2\nRestartSec=100ms\nExecStart=\n"
        f"Environment={ENVIRONMENT}\n"
        f"ExecStart={PYTHON} /opt/gossipd/stuck.py waiting run --disk-timeout 0.5\n"
        "END\necho 'bind = \"127.0.0.1:7976\"' >/etc/gossipd/stuck.toml\n"
        "systemctl daemon-reload\nsystemctl start gossipd@stuck"
    )
    unit = "gossipd@stuck"

    def shown(name: str) -> str:
        return machine.run("systemctl", "show", unit, f"--property={name}", "--value").stdout[:-1]

    assert "ready; members: " in shown("StatusText")
    keeper = machine.shell(f"pgrep -P {shown('MainPID')}").split()[-1]
    machine.run("kill", "-STOP", keeper)
    machine.shell("gossipd increment --api 127.0.0.1:7977 >/dev/null 2>&1 &")
    began = time.monotonic()
    until(lambda: "disk hangs" in shown("StatusText"), 10, "the disk hangs")
    until(lambda: time.monotonic() - began > 3, 20, "longer than the watchdog waits")
    assert shown("NRestarts") == "0"
    machine.run("kill", "-CONT", keeper)

    machine.run("systemctl", "kill", "--signal=USR1", "--kill-whom=main", unit)
    until(lambda: shown("NRestarts") == "1", 20, "it is started again")
    until(lambda: active(machine, unit), 20, "it serves again")
    told = machine.journal("-u", unit, "-p", "crit")
    assert 'level=critical msg="no progress for 1.33' in told[0]
    assert any("in waiting" in line for line in told), told
    machine.run("systemctl", "stop", unit)


def test_sockets_outlive_the_process_and_refuse_nobody(machine: Machine) -> None:
    sockets = installation("systemd/README.md", "Sockets that outlive the process")
    machine.shell(f"cd {SOURCE}\n{sockets}")
    knocking = (ROOT / "tests/e2e/knocking.py").read_text()
    machine.shell(f"cat >/opt/gossipd/knocking.py <<'END'\n{knocking}\nEND")

    def knocks() -> str:
        words = (*ENVIRONMENT.split(), PYTHON, "/opt/gossipd/knocking.py", "7947", "/tmp/enough")
        return machine.run("env", *words).stdout

    with ThreadPoolExecutor() as pool:
        knocked = pool.submit(knocks)
        try:
            for _ in range(RESTARTS):
                before = count(machine, "knocks")
                machine.run("systemctl", "restart", "gossipd")
                until(lambda: count(machine, "knocks") > before + 10, 20, "it counts again")  # noqa: B023
        finally:
            machine.run("touch", "/tmp/enough")
    answered, *troubles = knocked.result().split()
    assert troubles == []
    assert count(machine, "knocks") == int(answered) > 10 * RESTARTS

    machine.run("systemctl", "stop", "gossipd")  # the socket is there still, and starts it
    asked = (
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(30)\n"
        "s.sendto(b'ping', ('127.0.0.1', 7946)); print(s.recv(100))"
    )
    assert "pong" in machine.run("env", *ENVIRONMENT.split(), PYTHON, "-c", asked).stdout
    until(lambda: active(machine, "gossipd"), 20, "it was started")
    machine.shell("systemctl disable --now gossipd.socket gossipd 2>&1\nsystemctl start gossipd")


def test_a_stop_is_a_leave(machine: Machine, tmp_path: Path) -> None:
    machine.run("systemctl", "start", "gossipd", "gossipd@a")
    until(lambda: "a" in knows(machine), 20, "the other one is a member")

    def leaves() -> int:
        lines = machine.journal("-u", "gossipd@a", "-t", "gossipd")
        return sum(line.endswith('msg="left"') for line in lines)

    before = leaves()
    machine.run("systemctl", "stop", "gossipd@a")
    until(lambda: leaves() > before, 20, "the journal has its last words")
    members = machine.run("gossipd", "members").stdout
    assert re.search(r"^a\t.*\tleft\t", members, re.MULTILINE)


def test_the_script_for_three_hosts_installs_one_after_the_other(machine: Machine) -> None:
    """This machine is each of them, and lets everybody in; pip has nothing to do here."""
    ssh = '#!/bin/sh\nshift\nexec sh -c "$*"\n'
    for path, text in (("/usr/local/bin/ssh", ssh), ("/opt/gossipd/bin/pip", "#!/bin/sh\n")):
        machine.shell(f"cat >{path} <<'END'\n{text}END\nchmod +x {path}")
    example = f"{SOURCE}/configs/three-hosts"
    machine.shell(f"sed -i 's/10.0.0.[0-9]/127.0.0.1/' {example}/gossipd.toml")
    machine.shell(f"echo read sha256:{'0' * 64} >{example}/tokens")
    started = "systemctl show gossipd --property=ExecMainStartTimestampMonotonic"
    before = machine.shell(started)
    machine.shell("systemctl stop gossipd; rm -r /var/lib/private/gossipd/*")  # another cluster's
    said = machine.shell(f"{example}/install.sh 127.0.0.1 127.0.0.2")
    expected = [f"127.0.0.{n}: {what}" for n in (1, 2) for what in ("installing", "ready")]
    assert said.splitlines() == expected
    assert machine.shell(started) != before
    here = ("--api", "unix:/run/gossipd/api.sock")
    assert "cluster\tshop\n" in machine.run("gossipd", "status", *here).stdout
    (unit,) = machine.shell("systemctl show gossipd --property=FragmentPath --value").split()
    assert machine.run("cat", unit).stdout == machine.run("gossipd", "systemd-unit").stdout
    machine.run("systemctl", "stop", "gossipd")
