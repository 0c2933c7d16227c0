"""What a running node takes of a configuration that it reads again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from gossipd.config.layers import Layers
from gossipd.config.options import RELOADS, keys
from gossipd.daemon import logs
from gossipd.daemon.reload import Reload
from gossipd.daemon.troubles import Troubles
from gossipd.sealing.keyring import Secret
from tests.deadline import DEADLINE

OTHERS: dict[str, object] = {
    "join": ("10.0.0.1:7946",),
    "allow": ("10.0.0.0/8",),
    "tag": ("zone=b",),
    "sealing": "send",
    "log_level": "debug",
    "log_format": "json",
}
"""A value other than that which holds; those that grow are one larger, the keyring another."""


class Part:
    """Of a node: it remembers what it is asked."""

    leaving = False

    def __init__(self, asked: list[object]) -> None:
        self._asked = asked

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given: self._asked.append((name, given))


class Seals(Part):
    """Those are told in the end."""

    def __init__(self, asked: list[object]) -> None:
        super().__init__(asked)
        self.told = asyncio.Event()

    def change(self, *given: object) -> None:
        self._asked.append(given)
        self.told.set()


async def asked(given: dict[str, object], wanted: dict[str, object]) -> list[object]:
    """What a node that was given something asks of its parts where it finds something else."""
    heard = list[object]()
    flags, seals = dict(given), Seals(heard)
    layers, part = Layers(flags), cast(Any, Part(heard))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "show", part.show)
        config, others = layers.load().config, (part.allow, part.perform)
        reload = Reload(config, layers, part, part, cast(Any, seals), Troubles(), *others)
        flags.update(wanted)
        reload.begin()
        async with asyncio.timeout(DEADLINE):
            await seals.told.wait()
    return heard


@pytest.mark.parametrize("name", RELOADS)
async def test_what_a_running_node_says_it_takes_reaches_a_part_of_it(
    name: str, tmp_path: Path
) -> None:
    """The log says that the value holds from now on."""
    for file in ("one", "other"):
        tmp_path.joinpath(file).write_text(Secret.fresh().text)
        tmp_path.joinpath(file).chmod(0o600)
    given: dict[str, object] = {"name": "n", "keyring": str(tmp_path / "one")}
    (key,) = (each for each in keys() if each.name == name)
    values = {**OTHERS, "keyring": str(tmp_path / "other")}
    if RELOADS[name] == "upwards":
        was: Any = key.of(Layers(given).load().config)
        values[name] = was + 1
    assert await asked(given, {name: values[name]}) != await asked(given, {})
