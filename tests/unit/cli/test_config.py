"""`gossipd config`: what holds and where it came from, and all that is wrong with a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from gossipd.config.options import keys
from gossipd.sealing.keyring import Secret
from tests.certificates import Authority


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.toml"


def config(*args: str | Path, **env: str) -> Result:
    return CliRunner().invoke(gossipd, ["config", *map(str, args)], env=env)


BAD = [
    (
        "api = ['localhost:1', ':7947']",
        [
            "1: api: :7947 is reached from other hosts, where anybody could do all: give it "
            "tokens, or api_client_ca, or insecure_api"
        ],
    ),
    ("nam = 'a'", ["1: unknown key 'nam'; did you mean 'name'?"]),
    ("[server]\nport = 7946", ["1: unknown key 'server'"]),
    ("name = 3", ["1: name: expected a string, not 3"]),
    ("name = ' a'", ["1: name: no control characters and no spaces at the ends, not ' a'"]),
    ("cluster = ''", ["1: cluster: expected 1 to 64 bytes, not ''"]),
    ("bind = 7946", ["1: bind: expected a string like \":7946\", not 7946"]),
    ("bind = '7946'", ["1: bind: '7946' is not HOST:PORT; a port alone is ':7946'"]),
    ("bind = '::1'", ["1: bind: '::1': write an IPv6 address in brackets, as in [::1]:7946"]),
    ("bind = ':65535'", ["--api: must be given, for there is no port after 65535"]),
    ("api = 'localhost:99999'",
     ["1: api: 'localhost:99999' has no valid port; expected 0 to 65535"]),
    ("join = 'a:7946'", ["1: join: expected a list of strings, not 'a:7946'"]),
    ("join = ['http://a:7946']",
     ["1: join: 'http://a:7946' is a URL; expected HOST:PORT without 'http://'"]),
    ("advertise = ':7946'", ["1: advertise: ':7946' has no host; expected HOST:PORT"]),
    ("tag = ['zone']", ["1: tag: expected K=V, not 'zone'"]),
    ("tag = ['a=1', 'a=2']", ["1: tag: 'a' is given more than once"]),
    ("profile = 'fast'", ["1: profile: expected one of lan, wan, local, not 'fast'"]),
    ("log_level = 'loud'",
     ["1: log_level: expected one of debug, info, warning, error, not 'loud'"]),
    ("log_format = 'xml'", ["1: log_format: expected one of auto, logfmt, json, not 'xml'"]),
    ("in_memory = 'yes'", ["1: in_memory: expected true or false, not 'yes'"]),
    ("\nin_memory = true\ndata_dir = '/var/lib/gossipd'",
     ["3: data_dir: must not be given together with FILE:2: in_memory"]),
    ("data_dir = '~nosuch/x'",
     ["1: data_dir: no home directory is known for '~nosuch/x'"]),
    ('data_dir = "a\\u0000b"', [r"1: data_dir: no directory can be called 'a\x00b'"]),
    ("probe_interval = '1 s'", ["1: probe_interval: expected a number, not '1 s'"]),
    ("gossip_fanout = 2.5", ["1: gossip_fanout: expected a whole number, not 2.5"]),
    ("probe_timeout = 0.9",
     ["1: probe_timeout (0.9) must be at most half of probe_interval (1.0)"]),
    ("name = 'a'\nsealing = 'require'",
     ["2: sealing: says nothing without keyring, or $GOSSIPD_SECRET"]),
    ("disk_timeout = 0", ["1: disk_timeout: expected at least 0.001 s, not 0.0"]),
    ("key_window = 600\nkey_retention = 60",
     ["1: key_window (600.0) must be at most FILE:2: key_retention (60.0)"]),
    ("key_limit = 5000000", ["1: key_limit must be at most 4000000"]),
    ("name = 'a'\nname = 'b'\n",
     ["not valid TOML: Cannot overwrite a value (at line 2, column 11)"]),
    ("name = a", ["not valid TOML: Invalid value (at line 1, column 8)"]),
    # All at once, and nothing that only follows from another mistake.
    ("nam = 'a'\nbind = '7946'\njoin = ['']\ntag = ['x']\nprobe_interval = 0\n"
     "probe_timeout = 3\ngossip_fanout = 0\nin_memory = true\ndata_dir = '/x'\n",
     ["1: unknown key 'nam'; did you mean 'name'?",
      "2: bind: '7946' is not HOST:PORT; a port alone is ':7946'",
      "3: join: '' is not HOST:PORT",
      "4: tag: expected K=V, not 'x'",
      "5: probe_interval must be greater than 0",
      "7: gossip_fanout must be greater than 0",
      "9: data_dir: must not be given together with FILE:8: in_memory"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problems"), BAD, ids=[text[:20] for text, _ in BAD])
def test_what_is_wrong_with_a_file(file: Path, text: str, problems: list[str]) -> None:
    file.write_text(text)
    result = config("check", file)
    assert (result.exit_code, result.stdout) == (2, "")
    told = [problem.replace("FILE", str(file)) for problem in problems]
    expected = [
        f"gossipd: {problem}" if problem.startswith("--")
        else f"gossipd: {file}{':' if problem[0].isdigit() else ': '}{problem}"
        for problem in told
    ]  # fmt: skip
    assert result.stderr.splitlines() == expected
    started = CliRunner().invoke(gossipd, ["run", "--config", str(file)])
    assert (started.exit_code, started.stderr) == (2, result.stderr), "run says the same"


def test_a_good_file_and_a_bad_one(file: Path) -> None:
    file.write_text("name = 'a'\n")
    result = config("check", file, GOSSIPD_RUN_BIND="nonsense")
    assert (result.exit_code, result.output) == (0, f"{file}: good\n")
    missing = file.with_name("missing")
    result = config("check", file, missing)
    assert (result.exit_code, result.stdout) == (2, f"{file}: good\n")
    assert result.stderr == f"gossipd: cannot read {missing}: No such file or directory\n"


@pytest.mark.parametrize("key", ["keyring", "tokens", "api_cert", "api_key", "api_client_ca"])
def test_files_that_it_names_are_opened(file: Path, tmp_path: Path, key: str) -> None:
    """A bad one is told as it is at the start."""
    pair, authority = Authority(tmp_path).issue("node"), tmp_path / "ca.pem"
    given = {
        "keyring": tmp_path / "keyring",
        "tokens": tmp_path / "tokens",
        "api_cert": pair.cert,
        "api_key": pair.key,
        "api_client_ca": authority,
    }
    for name, text in ("keyring", Secret.fresh().text), ("tokens", f"read {'x' * 16}"):
        given[name].touch(0o600)
        given[name].write_text(text)
    file.write_text("in_memory = true\n" + "".join(f"{k} = '{p}'\n" for k, p in given.items()))
    result = config("check", file)
    assert (result.exit_code, result.output) == (0, f"{file}: good\n")

    given[key].write_text("hunter2\n")
    bad = config("check", file)
    assert (bad.exit_code, bad.stdout) == (2, "")
    assert bad.stderr.startswith(f"gossipd: {given[key]}:")
    assert (bad.stderr.count("\n"), "hunter2" in bad.stderr) == (1, False)
    command = (sys.executable, "-m", "gossipd", "run", "--config", str(file), "--bind", ":0")
    started = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (started.returncode, started.stderr) == (1, bad.stderr)
    given["tokens"].unlink()
    given["keyring"].chmod(0o644)
    both = config("check", file).stderr
    assert f"{given['tokens']}: cannot be read: No such file or directory\n" in both
    assert f"{given['keyring']}: others may use it (mode 0644); run: chmod 600 " in both


def test_what_holds_and_where_it_came_from(file: Path) -> None:
    file.write_text("# mine\nprofile = 'wan'\njoin = ['a:1', 'b']\nname = 'file'\n")
    variables = {"GOSSIPD_RUN_NAME": "variable", "GOSSIPD_RUN_CLUSTER": "c"}
    result = config("show", "--config", file, "--name", "flag", "--in-memory", **variables)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == [key.name for key in keys()]
    shown = {row[0]: tuple(row[1:]) for row in rows}
    assert shown["name"] == ("flag", "--name")
    assert shown["in_memory"] == ("true", "--in-memory")
    assert shown["cluster"] == ("c", "GOSSIPD_RUN_CLUSTER")
    assert shown["profile"] == ("wan", f"{file}:2: profile")
    assert shown["join"] == ("a:1, b:7946", f"{file}:3: join")
    assert shown["probe_interval"] == ("5.0", "profile wan")
    assert shown["api"] == ("localhost:7947", "default")
    assert shown["advertise"] == ("-", "default")


def test_what_holds_as_json(file: Path) -> None:
    file.write_text("join = ['a:1']\n")
    said = json.loads(config("show", "--json", "--config", file).stdout)
    assert said["join"] == {"value": ["a:1"], "from": f"{file}:1: join"}
    assert said["in_memory"] == {"value": False, "from": "default"}
    assert said["advertise"] == {"value": None, "from": "default"}


def test_what_would_not_start_is_not_shown() -> None:
    result = config("show", "--in-memory", "--data-dir", "/x", "--probe-interval", "0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "gossipd: --probe-interval must be greater than 0",
        "gossipd: --data-dir: must not be given together with --in-memory",
    ]
