"""`gossipd keygen` and `gossipd keys`: the secrets that the nodes of a cluster share.

Secrets never go over the API: a command changes the file of the node beside it, which whoever may
write it may do anyway, and has the node read it again. So it is done on each node. Were secrets
spread by the cluster itself, one that was stolen could replace all others.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from gossipd.cli.client_options import asks, json_option, one
from gossipd.cli.daemons import Daemons
from gossipd.cli.escaping import printable
from gossipd.cli.failure import Failure
from gossipd.cli.output import emit, emit_table
from gossipd.cli.pages import pages
from gossipd.cli.queries import member_names, member_rows
from gossipd.client import Answer
from gossipd.client.connecting import Deadline, is_here
from gossipd.daemon.lines import listed
from gossipd.sealing import editing
from gossipd.sealing.keyring import Keyring, KeyringError, Secret, parse

WITHIN = 10.0
"""Seconds in which a node reads its keyring again."""

POLL_INTERVAL = 0.1

INPUT_MAX = 64 * 1024
"""Signs that are read."""

_UNHEARD = "-"
_NO_SECRET = "this node has no secret: start it with a keyring"


@click.command(
    epilog="""\b
Examples:
  gossipd keygen
  (umask 077; gossipd keygen > keyring)
  gossipd keygen | gossipd keys install"""
)
def keygen() -> None:
    """Print a fresh secret, as a line of a keyring.

    All nodes of a cluster are given the same (gossipd run --keyring FILE). No daemon is asked.
    """
    emit(Secret.fresh().text)


@click.group(
    epilog="""\b
Examples:
  gossipd keys list
  gossipd keys install < new-secret
  gossipd keys use 98692123
  gossipd keys remove e2798cb6"""
)
def keys() -> None:
    """Show or replace the secrets of a node.

    It is done beside the node, by whoever may write its keyring. To replace a secret without a
    pause install the new one on all nodes, then use it on all, then remove the old one from all.
    """


@keys.command(
    "list",
    epilog="""\b
Examples:
  gossipd keys list
  gossipd keys list --json""",
)
@json_option
@asks
def list_keys(daemons: Daemons, as_json: bool) -> None:
    """List the secrets of the node by their fingerprints.

    Columns: fingerprint, whether the node seals with it, how many members last did, and which. The
    row plain is of members that do not seal, the row - of those that were not heard yet.
    """
    daemon = one(daemons)
    sealing, members = _sealing(daemon), _seals(daemon)
    if sealing["from"] is None:
        raise Failure(_NO_SECRET)
    rows = []
    for secret in dict.fromkeys([*sealing["opens"], *sorted(members.values())]):
        names = sorted(name for name, seal in members.items() if seal == secret)
        rows.append((secret, secret == sealing["seals"], len(names), names))
    if as_json:
        keys = ("secret", "seals", "members", "names")
        emit(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
    else:
        shown = [(*row, listed(names)) for *row, names in rows]
        emit_table(("SECRET", "SEALS", "MEMBERS", "NAMES"), shown)


@keys.command(
    epilog="""\b
Examples:
  gossipd keys install < new-secret"""
)
@asks
def install(daemons: Daemons) -> None:
    """Have the node open with one more secret.

    The secret is read from the standard input. The node goes on to seal with the one that it has.
    """
    daemon = one(daemons)
    try:
        (secret,) = parse(sys.stdin.read(INPUT_MAX).split("\n"), "the standard input").secrets
    except KeyringError as error:
        raise Failure(str(error)) from None
    except ValueError:
        raise Failure("the standard input: more than one secret") from None
    _change(daemon, lambda path: editing.install(path, secret))


@keys.command(
    epilog="""\b
Examples:
  gossipd keys use 98692123"""
)
@click.argument("fingerprint")
@asks
def use(daemons: Daemons, fingerprint: str) -> None:
    """Have the node seal with one of its secrets.

    All nodes have to have it by then: install it everywhere before.
    """
    _change(one(daemons), lambda path: editing.use(path, fingerprint))


@keys.command(
    epilog="""\b
Examples:
  gossipd keys remove e2798cb6
  gossipd keys remove e2798cb6 --force"""
)
@click.option("--force", is_flag=True, help="Also while members seal with it, or may.")
@click.argument("fingerprint")
@asks
def remove(daemons: Daemons, fingerprint: str, force: bool) -> None:
    """Have the node take no more what is sealed with a secret.

    It is refused as long as a member that is not gone has last sealed with it, or was not heard.
    """
    daemon = one(daemons)
    need = [name for name, seal in _seals(daemon).items() if seal in (fingerprint, _UNHEARD)]
    if need and not force:
        raise Failure(f"these members may seal with it: {printable(', '.join(need))}")
    _change(daemon, lambda path: editing.remove(path, fingerprint))


def _change(daemon: Daemons, change: Callable[[str], Keyring]) -> None:
    """Change the file of the node, and wait until it holds."""
    path, api = _sealing(daemon)["from"], daemon.addresses[0]
    if path is not None and not is_here(api, Deadline(daemon.timeout)):
        raise Failure(f"{api} is on another host: change its keyring there")
    if path is None:
        raise Failure(_NO_SECRET)
    if path.startswith("$"):
        raise Failure(f"its secrets are in {path}: change that, and start the node again")
    try:
        keyring = change(path)
    except KeyringError as error:
        raise Failure(str(error)) from None
    daemon.post(_reloading, "/reload")
    until = time.monotonic() + WITHIN
    while _sealing(daemon)["opens"] != keyring.fingerprints:
        if time.monotonic() > until:
            raise Failure(f"{path} is changed, but the node has not read it: see its log")
        time.sleep(POLL_INTERVAL)
    first, *others = keyring.fingerprints
    emit(f"seals with {first}, opens also {', '.join(others) or 'no other'}")


def _sealing(daemon: Daemons) -> dict[str, Any]:
    """What the node says of its secrets."""

    def check(answer: Answer) -> dict[str, Any]:
        found: dict[str, Any] = answer.fields(sealing=dict)["sealing"]
        text = (str, type(None))
        answer.check(found, mode=str, seals=text, opens=list, **{"from": text})
        return found

    return check(daemon.get(check, "/status"))


def _seals(daemon: Daemons) -> dict[str, str]:
    """What each member that is not gone last sealed with."""
    found: dict[str, str] = {}
    for page in pages(daemon, "/members", member_names, None, None, None):
        for row in member_rows(page):
            if row["state"] in ("alive", "suspect"):
                found[row["name"]] = row["sealed"] or _UNHEARD
    return found


def _reloading(answer: Answer) -> None:
    answer.fields(reloading=bool)
