"""`gossipd keygen`: the secret that the nodes of a cluster share."""

from __future__ import annotations

import click

from gossipd.cli.output import emit
from gossipd.sealing.keyring import Secret


@click.command(
    epilog="""\b
Examples:
  gossipd keygen
  (umask 077; gossipd keygen > keyring)
  gossipd run --keyring keyring"""
)
def keygen() -> None:
    """Print a fresh secret, as a line of a keyring.

    All nodes of a cluster are given the same (gossipd run --keyring FILE). No daemon is asked.
    """
    emit(Secret.fresh().text)
