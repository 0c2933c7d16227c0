"""`gossipd systemd-unit`: the shipped unit, for the installation that prints it.

The files in `systemd/` are part of the package, so there is one text for who installs them by hand
and for who prints them. All that changes is where the program is, and what of its place the unit
would hide.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import click

import gossipd
from gossipd.cli.failure import Misuse, say
from gossipd.cli.output import emit

SHIPPED = "/opt/gossipd/bin/gossipd"
"""Where the program is in the shipped units."""

HOMES = tuple(map(Path, ("/home", "/root", "/run/user")))
"""What `ProtectHome=yes` hides."""

TEMPORARY = tuple(map(Path, ("/tmp", "/var/tmp")))
"""What `DynamicUser=yes` replaces by empty directories."""


@click.command(
    "systemd-unit",
    epilog="""\b
Examples:
  gossipd systemd-unit | sudo tee /etc/systemd/system/gossipd.service
  gossipd systemd-unit --instance""",
)
@click.option("--instance", is_flag=True, help="gossipd@.service, for several nodes on one host.")
@click.option("--socket", is_flag=True, help="gossipd.socket, for sockets that outlive a process.")
def systemd_unit(instance: bool, socket: bool) -> None:
    """Print a systemd unit that runs this installation."""
    if instance and socket:
        raise Misuse("an instance has ports of its own: print --socket, and change them")
    name = "gossipd.socket" if socket else "gossipd@.service" if instance else "gossipd.service"
    text = files(gossipd).joinpath("systemd", name).read_text("utf-8")
    if not socket:
        text = text.replace(SHIPPED, program())
        if any(is_below(place, HOMES) for place in places()):
            text = text.replace("ProtectHome=yes", "ProtectHome=read-only")
        for trouble in troubles():
            say(f"warning: {trouble}")
    emit(text.removesuffix("\n"))


def program() -> str:
    """What runs this installation, as a unit has it."""
    script = Path(sysconfig.get_path("scripts"), "gossipd")
    if script.exists():
        return _quoted(str(script))
    return f"{_quoted(sys.executable)} -m gossipd"


def _quoted(path: str) -> str:
    path = path.replace("%", "%%")
    if re.fullmatch(r"[\w@%+=:,./-]+", path):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def places() -> list[Path]:
    """The directories that a node needs to read."""
    assert gossipd.__file__ is not None
    package, interpreter = Path(gossipd.__file__).parent, Path(sys.executable).resolve().parent
    found = (Path(sys.prefix), Path(sys.base_prefix), interpreter, package)
    return list(dict.fromkeys(found))


def is_below(place: Path, roots: tuple[Path, ...]) -> bool:
    return any(place.is_relative_to(root) for root in roots)


def troubles() -> Iterator[str]:
    """Why the unit could not run this installation."""
    for place in places():
        if is_below(place, TEMPORARY):
            yield f"units have a /tmp of their own, without {place}: install it elsewhere"
        elif closed := [each for each in (place, *place.parents) if not each.stat().st_mode & 1]:
            yield (
                f"the unit's user may not enter {closed[-1]}, which has {place}: install it where "
                "everybody may, as in /opt"
            )
