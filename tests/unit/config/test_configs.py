"""The shipped configuration files and the reading of any."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gossipd.config.config import Config
from gossipd.config.endpoint import Endpoint
from gossipd.config.file import File, read, render
from gossipd.config.layers import Layers
from gossipd.config.options import keys
from gossipd.core.settings import Settings

CONFIGS = Path(__file__).parents[3] / "configs"
SHIPPED = CONFIGS / "gossipd.toml"

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> str:
        path = tmp_path / "node.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def _uncommented() -> str:
    return re.sub(r"^#(?=\w+ = )", "", SHIPPED.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_shipped_file_is_the_schema() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == render()


def test_the_shipped_file_changes_nothing() -> None:
    assert read(str(SHIPPED)) == File(str(SHIPPED))


def test_the_shipped_file_has_every_option_in_order() -> None:
    options = [field.name for field in fields(Config) if field.name != "settings"]
    settings = [field.name for field in fields(Settings)]
    assert list(tomllib.loads(_uncommented())) == options + settings


def test_the_shipped_file_documents_every_key() -> None:
    assert len(re.findall(r"^# .*\n#\w+ = ", _shipped_text(), re.MULTILINE)) == len(keys())


def _shipped_text() -> str:
    return SHIPPED.read_text(encoding="utf-8")


def test_the_shipped_file_uncommented_gives_the_defaults(write: Write) -> None:
    values: dict[str, Any] = read(write(_uncommented())).values
    assert values == {key.name: key.default for key in keys()}
    assert Config.of(**values) == Config()


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.toml")), ids=lambda path: path.name)
def test_every_shipped_file_builds_a_configuration(path: Path) -> None:
    Layers(path=str(path)).load()


def test_the_three_nodes_form_one_cluster() -> None:
    nodes = [
        Layers(path=str(CONFIGS / "three-nodes" / f"{name}.toml")).load().config for name in "abc"
    ]
    addresses = {str(node.bind) for node in nodes}
    endpoints = [each for node in nodes for each in (node.bind, *node.api)]
    ports = {each.port for each in endpoints if isinstance(each, Endpoint)}
    assert len(ports) == 6
    assert len({node.name for node in nodes}) == 3
    assert {node.cluster for node in nodes} == {"three-nodes"}
    assert all({*node.join, str(node.bind)} == addresses for node in nodes)


def test_values_are_read_with_their_types(write: Write) -> None:
    values = read(
        write(
            'bind = "[::1]:1"\napi = ""\njoin = ["a:1", "b"]\nprobe_interval = 2\n'
            'gossip_fanout = 4\nin_memory = true\nprofile = "wan"\n[tag]\nzone = "a"\n'
        )
    ).values
    assert values == {
        "bind": Endpoint("::1", 1), "api": (), "join": ("a:1", "b"), "probe_interval": 2.0,
        "gossip_fanout": 4, "in_memory": True, "profile": "wan", "tag": ("zone=a",),
    }  # fmt: skip
    assert isinstance(values["probe_interval"], float)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("probe_intervall = 1", "unknown key 'probe_intervall'; did you mean 'probe_interval'"),
        ("probe-interval = 1", "unknown key 'probe-interval'; did you mean 'probe_interval'"),
        ("[server]\nport = 1", "unknown key 'server'"),
        ('probe_interval = "1"', "probe_interval: expected a number, not '1'"),
        ("probe_interval = true", "probe_interval: expected a number, not true"),
        ("probe_interval = inf", "probe_interval: expected a number, not 'inf'"),
        ("gossip_fanout = 3.0", "gossip_fanout: expected a whole number, not 3.0"),
        (f"gossip_fanout = {10**300}", "gossip_fanout: expected a whole number"),
        ("name = 3", "name: expected a string, not 3"),
        ("name = [3]", "name: expected a string, not a list"),
        ("bind = 7946", "bind: expected a string like \":7946\", not 7946"),
        ('bind = "7946"', "bind: '7946'"),
        ('join = "a:1"', "join: expected a list of strings, not 'a:1'"),
        ("join = [7946]", "join: expected a list of strings, not one with 7946"),
        ("[tag]\nzone = 1", "tag: expected a list of strings, not one with 1"),
        ("[name]\na = 1", "name: expected a string, not a table"),
        ('in_memory = "yes"', "in_memory: expected true or false, not 'yes'"),
        ('profile = "fast"', "profile: expected one of lan, wan, local, not 'fast'"),
        ("a = 1\nb =\n", "not valid TOML: .* line 2"),
        ("name = 'a'\nname = 'b'\n", "not valid TOML: .* line 2"),
        (f"a = {'[' * 5000}", "not valid TOML: nested too deeply"),
        ("#" * 2**20 + "\n", "it is larger than 1048576 bytes"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_and_key(write: Write, text: str, complaint: str) -> None:
    path = write(text)
    (problem,) = read(path).problems
    assert re.match(f"(cannot read )?{re.escape(path)}(:\\d+)?: {complaint}", problem)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b'name = "\xff"')
    assert read(str(path)).problems == [f"{path}: not UTF-8 at byte 8"]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert read(str(missing)).problems == [f"cannot read {missing}: No such file or directory"]
    assert read(str(tmp_path)).problems == [f"cannot read {tmp_path}: Is a directory"]
