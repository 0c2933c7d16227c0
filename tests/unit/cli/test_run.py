"""`gossipd run`: flag over variable over file over default, and every mistake by its name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from gossipd.config.config import Config
from gossipd.config.endpoint import Endpoint
from gossipd.config.layers import Layers
from gossipd.config.options import keys
from gossipd.core.settings import Settings


class FakeDaemonModule(ModuleType):
    """Stands for `gossipd.daemon.daemon`: keeps what it is run with."""

    def __init__(self) -> None:
        super().__init__("gossipd.daemon.daemon")
        self.started: list[Config] = []
        self.layers: list[Layers] = []
        self.exit_code = 0

    def run(self, config: Config, layers: Layers, keeper: None) -> int:
        self.started.append(config)
        self.layers.append(layers)
        assert keeper is None
        return self.exit_code


Run = Callable[..., Result]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> FakeDaemonModule:
    fake = FakeDaemonModule()
    monkeypatch.setitem(sys.modules, "gossipd.daemon.daemon", fake)
    monkeypatch.setattr("gossipd.store.fork", lambda: None)
    return fake


@pytest.fixture
def run(module: FakeDaemonModule) -> Run:
    return lambda *args, **env: CliRunner().invoke(gossipd, ["run", *args], env=env)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.toml"


def test_run_alone_starts_a_node_with_the_defaults(run: Run, module: FakeDaemonModule) -> None:
    result = run()
    assert (result.exit_code, result.output) == (0, "")
    assert module.started == [Config()]


@pytest.mark.parametrize("exit_code", [0, 1])
def test_the_daemon_decides_the_exit_code(
    run: Run, module: FakeDaemonModule, exit_code: int
) -> None:
    module.exit_code = exit_code
    assert run().exit_code == exit_code


def test_every_flag_reaches_the_configuration(run: Run, module: FakeDaemonModule) -> None:
    run(
        "--bind", "[::1]:7956", "--api", "[::1]:80", "--join", "a:1", "--join", "b",
        "--name", "x y",
        "--advertise", "c:2", "--cluster", "d", "--profile", "wan", "--data-dir", "/e",
        "--durability", "normal",
        "--tag", "k=v, w", "--tag", "l=", "--log-level", "debug", "--gossip-fanout", "5",
        "--probe-interval", "6",
    )  # fmt: skip
    assert module.started == [
        Config(
            bind=Endpoint("::1", 7956), api=(Endpoint("::1", 80),),
            join=("a:1", "b:7946"), name="x y",
            advertise=Endpoint("c", 2), cluster="d", profile="wan", data_dir="/e",
            durability="normal", tag=("k=v, w", "l="),
            log_level="debug",
            settings=Settings.of("wan", gossip_fanout=5, probe_interval=6.0),
        )
    ]  # fmt: skip


@pytest.mark.parametrize("setting", [field.name for field in fields(Settings)])
def test_every_setting_is_flag_variable_and_key(
    run: Run, module: FakeDaemonModule, file: Path, setting: str
) -> None:
    value = getattr(Settings.of("lan"), setting)
    file.write_text(f"{setting} = {value!r}")
    run(f"--{setting.replace('_', '-')}", str(value), "--profile", "lan")
    run(**{f"GOSSIPD_RUN_{setting.upper()}": str(value)})
    run("--config", str(file))
    assert module.started == [Config()] * 3
    assert type(getattr(module.started[0].settings, setting)) is type(value)


def test_flag_wins_over_variable_over_file_over_default(
    run: Run, module: FakeDaemonModule, file: Path
) -> None:
    file.write_text('cluster = "file"\nprobe_interval = 3\njoin = ["file:1"]\n')
    variables = {
        "GOSSIPD_RUN_CONFIG": str(file),
        "GOSSIPD_RUN_CLUSTER": "variable",
        "GOSSIPD_RUN_JOIN": "variable:1",
    }
    run("--cluster", "flag", "--join", "flag:1", **variables)
    run(**variables)
    run("--config", str(file))
    assert [node.cluster for node in module.started] == ["flag", "variable", "file"]
    assert [node.join for node in module.started] == [("flag:1",), ("variable:1",), ("file:1",)]
    assert {node.settings.probe_interval for node in module.started} == {3.0}
    assert {node.log_level for node in module.started} == {"info"}


def test_the_file_can_be_read_again_under_the_same_flags_and_variables(
    run: Run, module: FakeDaemonModule, file: Path
) -> None:
    file.write_text('cluster = "file"\nname = "file"\nlog_level = "info"\n')
    run("--name", "flag", "--config", str(file), GOSSIPD_RUN_CLUSTER="variable")
    (layers,) = module.layers
    file.write_text('cluster = "other"\nname = "other"\nlog_level = "debug"\n')
    config = layers.load().config
    assert (config.cluster, config.name, config.log_level) == ("variable", "flag", "debug")


@pytest.mark.parametrize("text", ["a:1,b:2", "a:1 b:2", " a:1, b:2,\n", "a:1,,b:2"])
def test_a_list_in_a_variable_has_commas_or_spaces(
    run: Run, module: FakeDaemonModule, text: str
) -> None:
    run(GOSSIPD_RUN_JOIN=text)
    assert module.started[0].join == ("a:1", "b:2")


def test_an_empty_value_is_the_default(run: Run, module: FakeDaemonModule, file: Path) -> None:
    file.write_text('api = ""\nname = ""\nadvertise = ""\njoin = []\n')
    run("--config", str(file))
    run("--api", "", "--name", "")
    run(GOSSIPD_RUN_API="", GOSSIPD_RUN_BIND="", GOSSIPD_RUN_JOIN="", GOSSIPD_RUN_CONFIG="")
    run(GOSSIPD_RUN_JOIN=" , ")
    assert module.started == [Config()] * 4


def test_an_empty_value_of_a_flag_overrides_the_file(
    run: Run, module: FakeDaemonModule, file: Path
) -> None:
    file.write_text('name = "file"')
    run("--config", str(file), "--name", "")
    assert module.started == [Config()]


def test_an_unknown_variable_is_warned_of(run: Run, module: FakeDaemonModule) -> None:
    result = run(GOSSIPD_RUN_PROBE_INTERVALL="1", GOSSIPD_RUN_ZZZZ="", GOSSIPD_API="x")
    assert result.stderr == (
        "gossipd: warning: 'GOSSIPD_RUN_PROBE_INTERVALL' is not an option of run, and is ignored; "
        "did you mean GOSSIPD_RUN_PROBE_INTERVAL?\n"
        "gossipd: warning: 'GOSSIPD_RUN_ZZZZ' is not an option of run, and is ignored\n"
    )
    assert module.started == [Config()]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("--bind", "7946"), "--bind: '7946' "),
        (("--bind", "a:65536"), "--bind: 'a:65536' has no valid port"),
        (("--bind", ":65535"), "--api: must be given"),
        (("--api", "::1"), "--api: '::1': write an IPv6 address in brackets"),
        (("--join", "a", "--join", ":1"), "--join: ':1' has no host"),
        (("--join", "a:1,b:2"), "--join: 'a:1,b:2'"),
        (("--advertise", "a"), "--advertise: 'a' has no port"),
        (("--advertise", ":1"), "--advertise: ':1' has no host"),
        (("--name", " x"), "--name: no control characters"),
        (("--cluster", "x" * 65), "--cluster: expected 1 to 64 bytes"),
        (("--tag", "zone"), "--tag: expected K=V, not 'zone'"),
        (("--tag", "a=1", "--tag", "a=2"), "--tag: 'a' is given more than once"),
        (("--data-dir", "~nosuch/x"), "--data-dir: no home directory is known for '~nosuch/x'"),
        (("--profile", "fast"), "--profile: expected one of lan, wan, local, not 'fast'"),
        (("--log-level", "INFO"), "--log-level: expected one of debug"),
        (("--gossip-fanout", "2.5"), "--gossip-fanout: expected a whole number, not '2.5'"),
        (("--gossip-fanout", "0"), "--gossip-fanout must be greater than 0"),
        (("--probe-interval", "x"), "--probe-interval: expected a number, not 'x'"),
        (("--probe-interval", "nan"), "--probe-interval: expected a number, not 'nan'"),
        (("--probe-interval", "-1"), "--probe-interval must be a number >= 0"),
        (
            ("--probe-timeout", "0.9"),
            "--probe-timeout (0.9) must be at most half of --probe-interval (1.0)",
        ),
    ],
)
def test_a_mistake_exits_2_and_names_the_option(
    run: Run, module: FakeDaemonModule, args: tuple[str, ...], complaint: str
) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout, module.started) == (2, "", [])
    assert result.stderr.startswith(f"gossipd: {complaint}")
    assert result.stderr.count("\n") == 1


def test_a_mistake_in_a_variable_is_blamed_on_it(run: Run) -> None:
    assert run(GOSSIPD_RUN_BIND="x").stderr.startswith(
        "gossipd: GOSSIPD_RUN_BIND: 'x' has no port"
    )
    assert run(GOSSIPD_RUN_NAME="x\n").stderr.startswith("gossipd: GOSSIPD_RUN_NAME: no control")
    assert run(GOSSIPD_RUN_DATA_DIR="/e", GOSSIPD_RUN_IN_MEMORY="yes").stderr.startswith(
        "gossipd: GOSSIPD_RUN_DATA_DIR: must not be given together"
    )
    assert run(GOSSIPD_RUN_SEALING="send").stderr == (
        "gossipd: GOSSIPD_RUN_SEALING: says nothing without GOSSIPD_RUN_KEYRING, "
        "or $GOSSIPD_SECRET\n"
    )
    assert run(GOSSIPD_RUN_IN_MEMORY="what").exit_code == 2


def test_a_mistake_in_the_file_is_blamed_on_it(run: Run, file: Path) -> None:
    file.write_text("probe_timeout = 0.8\n")
    result = run("--config", str(file), GOSSIPD_RUN_PROBE_INTERVAL="1.5")
    assert result.exit_code == 2
    assert result.stderr == (
        f"gossipd: {file}:1: probe_timeout (0.8) must be at most half of "
        "GOSSIPD_RUN_PROBE_INTERVAL (1.5)\n"
    )
    file.write_text('join = [":1"]\n')
    assert run("--config", str(file)).stderr.startswith(
        f"gossipd: {file}:1: join: ':1' has no host"
    )
    file.write_text("colour = 1\n")
    assert run("--config", str(file)).stderr == f"gossipd: {file}:1: unknown key 'colour'\n"


def test_a_file_that_cannot_be_read_exits_2(run: Run, file: Path) -> None:
    result = run("--config", str(file))
    assert result.exit_code == 2
    assert result.stderr == f"gossipd: cannot read {file}: No such file or directory\n"


def test_the_help_documents_every_option_in_its_section() -> None:
    text = CliRunner().invoke(gossipd, ["run", "--help"]).stdout
    plain, protocol = text.split("Protocol settings")
    for key in keys():
        assert f"\n  {key.flag} " in (protocol if key.is_setting else plain) + " "
    assert "`probe_interval`" not in text
    assert text.count("[default:") == sum(
        key.default is not None and not key.is_list and not key.is_switch for key in keys()
    )
    listed = plain.partition("\nOptions:\n")[2]
    assert "  --config FILE" in listed
    assert listed.count("\n  -") == 1, "each option belongs in a section"
