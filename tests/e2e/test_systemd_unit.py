"""`gossipd systemd-unit` prints what runs the installation that it belongs to."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.e2e.node import ROOT, gossipd

SYSTEMD = ROOT / "systemd"
ANALYZE = shutil.which("systemd-analyze")

SCRIPT = "#!/bin/sh\nexec '{python}' -m gossipd \"$@\"\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment whose path has what units take for something else."""
    environment = tmp_path_factory.mktemp("some where") / "100% real"
    venv.create(environment)
    inside = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", vars=inside), "seen.pth")
    packages.write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    script = environment / "bin" / "gossipd"
    script.write_text(SCRIPT.format(python=environment / "bin" / "python"))
    script.chmod(0o755)
    return script


def printed(installed: Path, *options: str) -> tuple[str, str]:
    """The unit, and what was warned of."""
    done = subprocess.run(
        (installed, "systemd-unit", *options), capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("options", "name"), [((), "gossipd.service"), (("--instance",), "gossipd@.service")]
)
def test_a_unit_is_the_shipped_one_with_the_place_of_the_program(
    installed: Path, tmp_path: Path, options: tuple[str, ...], name: str
) -> None:
    text, warned = printed(installed, *options)
    place = '"' + str(installed).replace("%", "%%") + '"'
    shipped = (SYSTEMD / name).read_text().replace("/opt/gossipd/bin/gossipd", place)
    places = sys.base_prefix, str(ROOT), str(Path(sys.executable).resolve())
    if any(place.startswith(("/root/", "/home/")) for place in places):
        shipped = shipped.replace("ProtectHome=yes", "ProtectHome=read-only")
    assert text == shipped
    if str(installed).startswith("/tmp/"):
        assert "warning: units have a /tmp of their own, without" in warned
    if ANALYZE is not None:
        unit = tmp_path / name.replace("@", "@a")
        unit.write_text(text)
        said = subprocess.run((ANALYZE, "verify", unit), capture_output=True, text=True)
        assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_the_sockets_are_the_shipped_ones(installed: Path) -> None:
    assert printed(installed, "--socket") == ((SYSTEMD / "gossipd.socket").read_text(), "")


def test_an_instance_has_sockets_of_its_own() -> None:
    done = gossipd("systemd-unit", "--instance", "--socket")
    assert done.returncode == 2
    assert "ports of its own" in done.stderr
