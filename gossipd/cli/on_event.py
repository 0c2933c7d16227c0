"""`gossipd on-event`: a program is run for each change of a member.

One at a time, in the order of the changes. While one runs nothing is read, so nothing piles up
here: a node tells who reads too slowly so, and then again how the members are, of which a change
is what differs from what was known.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import click

from gossipd.cli.client_options import (
    ANSWER_TIMEOUT_MAX,
    api_option,
    credentials,
    exits,
    timeout_option,
)
from gossipd.cli.daemons import Daemons
from gossipd.cli.failure import Misuse, say
from gossipd.cli.following import FORGOTTEN, UPDATE, Change, Follower, Members
from gossipd.cli.interrupts import Interrupts, interrupts
from gossipd.config.unix import ApiAddress

KINDS = ("alive", "suspect", "failed", "left", FORGOTTEN, UPDATE)

ANSWER_TIMEOUT = 10.0
END_TIMEOUT = 2.0
"""Seconds that a handler has to end when it is told to, with all that it has started."""

LOOK = 0.02
"""Seconds between two looks whether it has."""

_NO_NAME = re.compile("[^A-Z0-9]")


@click.command(
    "on-event",
    epilog="""\b
Examples:
  gossipd on-event -- ./handler.sh
  gossipd on-event --event failed --event left -- logger -t gossipd "member is gone"
  gossipd on-event --present --timeout 5s -- python3 update_balancer.py""",
)
@click.option(
    "--event",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    help="Only for these. Given several times. Default: all.",
)
@click.option("--present", is_flag=True, help="Also for each member that is there at first.")
@api_option
@timeout_option("30s", ANSWER_TIMEOUT_MAX, False, "How long COMMAND may run.")
@click.argument("command", nargs=-1, required=True, metavar="COMMAND...")
def on_event(
    kinds: tuple[str, ...],
    present: bool,
    addresses: tuple[ApiAddress, ...],
    timeout: float,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND for each change of a member.

    One at a time, in order. Where it fails, or takes too long and is ended, that is told, and the
    next one comes. What changes twice while COMMAND runs for very long may be told once.

    On stdin it gets the member as JSON, and as variables: GOSSIPD_EVENT (member-alive,
    member-suspect, member-failed, member-left, member-forgotten, or member-update: other tags, or
    started again), GOSSIPD_MEMBER_NAME, GOSSIPD_MEMBER_ADDRESS, GOSSIPD_MEMBER_STATE,
    GOSSIPD_MEMBER_BEFORE (its state before), GOSSIPD_MEMBER_SELF (true or false), GOSSIPD_TAG_KEY
    for each tag, and GOSSIPD_API (the daemon that tells). Names and tags are what members say, of
    any signs but control characters: a shell has to quote them, as in "$GOSSIPD_MEMBER_NAME".
    """
    if shutil.which(command[0]) is None:
        raise Misuse(f"there is no program {command[0]!r}")
    known = Members()
    follower = Follower(Daemons(addresses, ANSWER_TIMEOUT, credentials()), [("members", "true")])
    with exits(), interrupts(lambda: "no more changes are handled") as heeded:
        for event in follower.events():
            for change in () if event is None else known.take(event):
                wanted = not kinds or change.kind in kinds
                if wanted and (present or not change.first):
                    handle(command, change, follower.api, timeout, heeded)


def handle(
    command: Sequence[str], change: Change, api: str, timeout: float, heeded: Interrupts
) -> None:
    """Run it for one change, to its end."""
    what = f"member-{change.kind} of {change.row['name']}"
    with ExitStack() as ending:
        try:
            with heeded.held():
                process = subprocess.Popen(
                    command,
                    env={**os.environ, **variables(change), "GOSSIPD_API": api},
                    stdin=subprocess.PIPE,
                    start_new_session=True,
                )
                ending.callback(_end, process)
        except (OSError, ValueError) as error:  # the latter for what no variable can be
            said = error.strerror if isinstance(error, OSError) else error
            say(f"cannot run {command[0]!r} for {what}: {said}")
            return
        try:
            process.communicate(json.dumps(change.row).encode() + b"\n", timeout)
            code = process.returncode
        except subprocess.TimeoutExpired:
            code = 0
            say(f"the handler of {what} has not ended within {timeout:g} s: it is told to")
    if code > 0:
        say(f"the handler of {what} failed with exit code {code}")
    elif code < 0:
        say(f"the handler of {what} was ended by signal {-code}")


def variables(change: Change) -> dict[str, str]:
    """What a handler finds in its environment."""
    row = change.row
    return _tags(row["name"], row.get("tags", {})) | {
        "GOSSIPD_EVENT": f"member-{change.kind}",
        "GOSSIPD_MEMBER_NAME": row["name"],
        "GOSSIPD_MEMBER_ADDRESS": row.get("address", ""),
        "GOSSIPD_MEMBER_STATE": row["state"],
        "GOSSIPD_MEMBER_BEFORE": change.before,
        "GOSSIPD_MEMBER_SELF": "true" if row.get("self") else "false",
    }


def _tags(member: str, tags: Mapping[str, object]) -> dict[str, str]:
    """Two whose keys give one variable: the first by name has it, and that is told."""
    keys: dict[str, str] = {}
    for key in sorted(tags):
        variable = f"GOSSIPD_TAG_{_NO_NAME.sub('_', key.upper())}"
        if variable in keys:
            say(f"{variable} of {member} is its tag {keys[variable]!r}, not {key!r}")
        else:
            keys[variable] = key
    return {variable: str(tags[key]) for variable, key in keys.items()}


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started, if it has not ended. What it has started for others may not be
    ended by this user, as with sudo."""
    if process.stdin is not None:
        process.stdin.close()
    if process.poll() is not None:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(process.pid, number)
            until = time.monotonic() + END_TIMEOUT
            while time.monotonic() < until:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(LOOK)
    except ProcessLookupError:
        process.wait()  # all of them have ended
    except PermissionError:
        say(f"process {process.pid} may not be ended: it runs on, or what it has started does")
