"""The command that finds out what is wrong: with the node here, and on the way to others."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gossipd.cli.client_options import api_option, credentials, json_option, peer, timeout_option
from gossipd.cli.failure import Misuse
from gossipd.cli.output import aligned, emit, emit_json, shown
from gossipd.config.endpoint import GOSSIP_PORT, Endpoint
from gossipd.config.unix import ApiAddress

if TYPE_CHECKING:  # slow to import, and only this command needs it
    from gossipd.doctor.findings import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def _targets(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[Endpoint, ...]:
    return tuple(peer(value, GOSSIP_PORT) for value in values)


@click.command(
    epilog="""\b
Examples:
  gossipd doctor
  gossipd doctor 10.0.0.5 node-b:7956
  gossipd doctor --config /etc/gossipd/gossipd.toml
  gossipd doctor --json"""
)
@click.argument("targets", nargs=-1, callback=_targets, metavar="[HOST:PORT]...")
@api_option
@click.option(
    "--config",
    envvar="GOSSIPD_RUN_CONFIG",
    metavar="FILE",
    help="The node's TOML file, to know its seeds and cluster where it does not run.",
)
@click.option(
    "--keyring",
    metavar="FILE",
    help="The secrets to ask with. Default: those of the node here, as far as they can be read.",
)
@timeout_option("6s", 60.0, False, "How long all of it may take.")
@json_option
def doctor(
    targets: tuple[Endpoint, ...],
    addresses: tuple[ApiAddress, ...],
    config: str | None,
    keyring: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Find out what is wrong.

    Asks the node here, and over UDP and TCP the gossip ports HOST:PORT, or its members and seeds.
    One line for each check, and what to do about it; exit code 1 if any has failed. Nothing is
    changed anywhere.
    """
    from gossipd.doctor.examining import Asked, examine, is_well

    if len(addresses) > 1:
        raise click.UsageError("this is for one daemon: name it with --api")
    values = _configured(config)
    seeds = tuple(peer(text, GOSSIP_PORT) for text in values["join"])
    cluster, name, directory = (str(values[key] or "") for key in ("cluster", "name", "data_dir"))
    keyring = keyring or values["keyring"]
    asked = Asked(
        addresses[0],
        targets,
        cluster,
        name,
        seeds,
        directory,
        timeout,
        credentials(),
        keyring,
    )
    found = examine(asked)
    well = is_well(found)
    if as_json:
        checks = [asdict(finding) for finding in found]
        emit_json(json.dumps({"well": well, "checks": checks}, indent=1))
    else:
        _emit(found)
    sys.exit(0 if well else 1)


def _configured(path: str | None) -> dict[str, Any]:
    """What a node of this host would be started with, as far as it matters here."""
    from gossipd.config.file import File, read
    from gossipd.config.options import VARIABLE_PREFIX

    values: dict[str, Any] = {"cluster": "gossipd", "name": None, "join": ()}
    values |= {"data_dir": None, "keyring": None}
    file = read(path) if path else File()
    if file.problems:
        raise Misuse("; ".join(file.problems))
    given = dict(file.values)
    for key in values:
        if text := os.environ.get(VARIABLE_PREFIX + key.upper()):
            given[key] = text.replace(",", " ").split() if key == "join" else text
    return values | {key: given[key] for key in values if key in given}


def _emit(found: Sequence[Finding]) -> None:
    """Aligned, with the advice below each line, or in a pipe fields that tabs divide."""
    rows = [
        [shown(each) or "-" for each in (str(f.result), f.check, f.about, f.text)] for f in found
    ]
    advice = [shown(finding.advice) for finding in found]
    if not sys.stdout.isatty():
        for row, said in zip(rows, advice, strict=True):
            emit("\t".join([*row, said or "-"]))
        return
    for line, row, said in zip(aligned(rows).splitlines(), rows, advice, strict=True):
        result = row[0]
        coloured = (
            line
            if os.environ.get("NO_COLOR")
            else line.replace(result, click.style(result, fg=_COLOURS[result]), 1)
        )
        emit(f"{coloured}\n  -> {said}" if said else coloured)
