"""The files that a configuration names beside itself: secrets, tokens, the certificate of the API.

Each is taken whole or not at all. What is wrong with one is said in the same words when a node
starts, when it reads them again, and by `gossipd config check`.
"""

from __future__ import annotations

from collections.abc import Iterator

from gossipd.config.config import Config
from gossipd.config.tokens import Grants, read_tokens
from gossipd.daemon.certificates import Certificate, load_certificate
from gossipd.sealing.keyring import Keyring, find, read
from gossipd.version import REPLACED


def keyring_of(config: Config) -> Keyring | None:
    """The secrets that a node is given, wherever they are; what seals is loaded along with them,
    which takes a moment. Raises `ValueError`, as these all do."""
    keyring = find(config.keyring)
    if keyring is not None:
        try:
            from gossipd.sealing import frame  # noqa: F401
        except ImportError as error:
            raise ValueError(f"nothing can be sealed: {error}; {REPLACED}") from error
    return keyring


def tokens_of(config: Config) -> Grants | None:
    """None where the API asks for none."""
    return None if config.tokens is None else read_tokens(config.tokens)


def certificate_of(config: Config) -> Certificate | None:
    """None where the API speaks no TLS."""
    if config.api_cert is None:
        return None
    return load_certificate(config.api_cert, config.api_key, config.api_client_ca)


def problems(config: Config) -> Iterator[str]:
    """What is wrong with the files that are named."""
    for judge in (_judge_keyring, tokens_of, certificate_of):
        try:
            judge(config)
        except ValueError as error:
            yield str(error)


def _judge_keyring(config: Config) -> None:
    if config.keyring is not None:
        read(config.keyring)
