"""What one node is started with: a frozen value, complete and possible or not built at all.

The fields here and those of `core.Settings` are the one place where the options of `gossipd run`
are spelled: `options` reads name, type, default and docstring and makes a flag, a variable and a
key of the configuration file of each.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from gossipd.config.bounds import CONNECTIONS_MAX, WATCHERS_MAX
from gossipd.config.endpoint import (
    GOSSIP_PORT,
    LOCALHOST,
    LOOPBACKS,
    PORT_MAX,
    Endpoint,
    is_link_local,
    is_loopback,
    is_reachable,
    parse_origin,
)
from gossipd.config.networks import parse_network
from gossipd.config.secrets import KEYRING, SECRET, credential
from gossipd.config.unix import ApiAddress, UnixSocket
from gossipd.core.identity import NAME_BYTES_MAX, TAGS_BYTES_MAX, TAGS_MAX
from gossipd.core.settings import SECONDS_MIN, Profile, Settings

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "logfmt", "json"]
Durability = Literal["full", "normal"]
Sealing = Literal["require", "send", "accept"]

TAG_KEY_SIZE_MAX = 64

UNGUARDED = "where anybody could do all: give it `tokens`, or `api_client_ca`, or `insecure_api`"
"""What is wrong with an API that other hosts reach."""

ANY_ADDRESS = Endpoint("", GOSSIP_PORT)

_Value = TypeVar("_Value")
_Result = TypeVar("_Result")


class ConfigError(ValueError):
    """An option has an impossible value. `key` names it, `problem` says what is wrong, with other
    options in backquotes, for each is told as its writer writes it."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem.replace('`', '')}")
        self.key = key
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Raises `ConfigError` when it is built from an impossible value.

    Once built, `api` is never empty, `name` only while the port of `bind` is 0, the seeds in
    `join` all have a port, and networks are as they are usually written. None means the default
    that the docstring describes.
    """

    bind: Endpoint = ANY_ADDRESS
    """Address of the UDP gossip socket, [HOST]:PORT. Without a host: all addresses, IPv4 and
    IPv6. Write an IPv6 address in brackets. Port 0: any free one."""

    api: tuple[ApiAddress, ...] = ()
    """Address of the API (HTTP, text, RESP): [HOST]:PORT for TCP, unix:/PATH for a socket of this
    host, unix:/PATH?mode=0666 with another mode of its file than 0660. Default: localhost, which
    is 127.0.0.1 and ::1 (or the address of `bind` if that is another one of loopback), at the
    `bind` port + 1. Without a host: all addresses. Where other hosts reach it, it needs
    `tokens`."""

    tokens: str | None = None
    """File of the tokens that the API asks for, which nobody but its owner may read: a line for
    each, `read TOKEN`, `write TOKEN` or `admin TOKEN`. SIGHUP reads it again. Default: the
    credential tokens of systemd; where there is none, whoever reaches the API may do all."""

    api_cert: str | None = None
    """File with the certificate of the API (PEM, and with it those that lead to its CA): by TCP it
    speaks TLS, and nothing else. SIGHUP reads it again. Default: no TLS."""

    api_key: str | None = None
    """File with the key of `api_cert` (PEM, not encrypted), which nobody but its owner may read.
    Default: it stands in the same file."""

    api_client_ca: str | None = None
    """File with certificates of CAs (PEM): only clients that show a certificate of one of them may
    use the API by TCP. Default: no client is asked for one."""

    insecure_api: bool = False
    """Let the API be reached from other hosts though it asks for no tokens: whoever reaches it may
    do all. Without it a node does not start so."""

    cors_origin: tuple[str, ...] = ()
    """Origin of web pages that may use the API beside its own, as https://app.example.org; * is
    every page, which only an API that asks for tokens may be open to."""

    join: tuple[str, ...] = ()
    """Members to join through, HOST[:PORT]; any one that answers is enough. A name may list
    several addresses, the node's own among them. They are tried again for ever. The default port
    is 7946."""

    allow: tuple[str, ...] = ()
    """Networks in which other nodes may be, like 10.0.0.0/8, fd00::/8 or a single address.
    Datagrams from elsewhere are dropped unread, and none is sent there; 127.0.0.1, ::1 and the
    node's own address are always allowed. Default: everybody. Give all nodes the same."""

    name: str | None = None
    """Name of this node, unique in the cluster, 1 to 64 bytes. Default: the host name, with
    :PORT when the `bind` port is not 7946."""

    advertise: Endpoint | None = None
    """Gossip address at which others reach this node, HOST:PORT; a host name is resolved again now
    and then. Default: the local address from which members and seeds are reached, checked again
    whenever the network changes or answers stop."""

    cluster: str = "gossipd"
    """Name of the cluster, 1 to 64 bytes. Datagrams of other clusters are dropped unread."""

    keyring: str | None = None
    """File of the secrets that the nodes of the cluster share, one a line (`gossipd keygen`),
    readable by its owner only: datagrams are sealed with the first one, and opened with any; none
    else are taken. Default: $GOSSIPD_SECRET, else the credential keyring of systemd, else
    nothing is sealed, and everybody who reaches the port can take part."""

    sealing: Sealing | None = None
    """What is done with the secrets: send sealed datagrams and take no others (require, the
    default where there are any); or, while a cluster moves from no secret to one, take plain
    ones, too, and send sealed ones (send) or plain ones (accept). Without secrets it is
    refused."""

    profile: Profile = "lan"
    """The set of settings to start from: lan (detects in seconds), wan (patient, fewer packets)
    or local (many nodes on one machine)."""

    data_dir: str | None = None
    """Directory of this node's state, for it alone. Default: one named after the node, in
    $STATE_DIRECTORY (which systemd sets), else in gossipd below $XDG_STATE_HOME or
    ~/.local/state."""

    in_memory: bool = False
    """Keep the state in memory only: what no other node holds is lost when this one stops."""

    durability: Durability = "full"
    """What an answered increment survives: power cuts (full), or only crashes of processes
    (normal), which saves the wait for the disk."""

    connections_max: int = CONNECTIONS_MAX
    """Connections of clients at a time. One more takes the place of whoever has been idle the
    longest; where all are busy it gets one short answer at most. The process has to be allowed as
    many open files (`ulimit -n`) and 400 more, else it takes fewer."""

    watchers_max: int = WATCHERS_MAX
    """Clients that may follow what changes (`/events`, `watch`) at a time; one more is refused."""

    address_share: float = 0.5
    """Part of these connections, and of these watchers, that one address may have (IPv6: one /64;
    a Unix socket: one user). 1 where all clients come through one proxy."""

    disk_timeout: float = 5.0
    """Seconds that the disk may take to answer. After that increments are refused (those under way
    may have been counted) and the node is not ready, until the disk answers again."""

    tag: tuple[str, ...] = ()
    """A label K=V that all members see; keys unique and at most 64 bytes, at most 32 tags, all
    together at most 256 bytes."""

    log_level: LogLevel = "info"
    """Lines of this level and above are logged to stderr."""

    log_format: LogFormat = "auto"
    """How a line is written: logfmt (time=… level=… msg="…" and fields), json (one object a line),
    or auto, which is logfmt, without the time where the journal of systemd has it."""

    settings: Settings = field(default_factory=Settings)
    """The settings of the protocol: those of `profile`, some of them replaced."""

    @property
    def guards_api(self) -> bool:
        """Whether the API asks who somebody is."""
        return bool(self.tokens or self.api_client_ca)

    @property
    def has_default_name(self) -> bool:
        """Whether its name is the one that it would have had without one."""
        try:
            return self.name == _default_name(self.bind.port)
        except ConfigError:
            return False

    @classmethod
    def of(cls, **values: Any) -> Config:
        """A configuration from options by name, fields of `core.Settings` among them.

        Raises `ConfigError` and `SettingsError`.
        """
        names = {setting.name for setting in fields(Settings)}
        replaced = {key: value for key, value in values.items() if key in names}
        rest = {key: value for key, value in values.items() if key not in names}
        settings = Settings.of(rest.get("profile", "lan"), **replaced)
        return cls(**rest, settings=settings)

    @property
    def tags(self) -> dict[str, str]:
        """The tags as a mapping, in the order given."""
        return dict(_tag(text) for text in self.tag)

    def __post_init__(self) -> None:
        if self.in_memory and self.data_dir is not None:
            raise ConfigError("data_dir", "must not be given together with `in_memory`")
        if self.data_dir is not None:
            _check("data_dir", _check_directory, self.data_dir)
        for key, is_possible, expected in (
            ("connections_max", self.connections_max >= 1, "at least 1"),
            ("watchers_max", self.watchers_max >= 0, "at least 0"),
            ("address_share", 0 < self.address_share <= 1, "more than 0 and at most 1"),
            (
                "disk_timeout",
                SECONDS_MIN <= self.disk_timeout < math.inf,
                f"at least {SECONDS_MIN} s",
            ),
        ):
            if not is_possible:
                raise ConfigError(key, f"expected {expected}, not {getattr(self, key)!r}")
        self._check_api()
        has_secrets = self.keyring or SECRET in os.environ or credential(KEYRING)
        if self.sealing is not None and not has_secrets:
            raise ConfigError("sealing", f"says nothing without `keyring`, or ${SECRET}")
        if self.name is None and self.bind.port:
            object.__setattr__(self, "name", _default_name(self.bind.port))
        if self.name is not None:
            _check("name", _check_name, self.name)
        _check("cluster", _check_name, self.cluster)
        if self.advertise is not None:
            _check("advertise", Endpoint.parse_peer, str(self.advertise))
            _check("advertise", _check_reach, self.advertise.host)
        else:
            _check("bind", _check_reach, self.bind.host)
        seeds = (_check("join", Endpoint.parse_peer, seed) for seed in self.join)
        object.__setattr__(self, "join", tuple(dict.fromkeys(map(str, seeds))))
        networks = (_check("allow", parse_network, text) for text in self.allow)
        object.__setattr__(self, "allow", tuple(dict.fromkeys(networks)))
        _check("tag", _check_tags, self.tag)

    def _check_api(self) -> None:
        """Where it is, and who may use it."""
        if self.tokens is None:
            object.__setattr__(self, "tokens", credential("tokens"))
        api = tuple(dict.fromkeys(self.api)) or (_default_api(self.bind),)
        object.__setattr__(self, "api", _check("api", _each_path_once, api))
        origins = tuple(_check("cors_origin", parse_origin, text) for text in self.cors_origin)
        object.__setattr__(self, "cors_origin", tuple(dict.fromkeys(origins)))
        if "*" in origins and not self.tokens:
            raise ConfigError("cors_origin", "* needs `tokens`: else every page could count")
        for key in ("api_key", "api_client_ca"):
            if getattr(self, key) is not None and self.api_cert is None:
                raise ConfigError(key, "says nothing without `api_cert`")
        if not (self.guards_api or self.insecure_api):
            _check("api", _check_all_here, self.api)


def _check(key: str, rule: Callable[[_Value], _Result], value: _Value) -> _Result:
    try:
        return rule(value)
    except ValueError as error:
        raise ConfigError(key, str(error)) from None


def _check_reach(host: str) -> None:
    if is_link_local(host):
        raise ValueError(f"others cannot use {host!r}: its zone is known on this host only")


def _each_path_once(api: tuple[ApiAddress, ...]) -> tuple[ApiAddress, ...]:
    paths = [address.path for address in api if isinstance(address, UnixSocket)]
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"{path} is given with two modes")
    return api


def _check_all_here(api: tuple[ApiAddress, ...]) -> None:
    """Whether nobody on another host reaches these, as far as that can be told without resolving
    a name: that is looked at when the name is bound."""
    for address in api:
        if isinstance(address, Endpoint) and is_reachable(address.host):
            raise ValueError(f"{address} is reached from other hosts, {UNGUARDED}")


def _default_api(bind: Endpoint) -> Endpoint:
    if bind.port == PORT_MAX:
        raise ConfigError("api", f"must be given, for there is no port after {PORT_MAX}")
    is_own = is_loopback(bind.host) and bind.host not in LOOPBACKS  # nobody looks at it unasked
    host = bind.host if is_own else LOCALHOST
    return Endpoint(host, bind.port + 1 if bind.port else 0)


def _default_name(port: int) -> str:
    name = socket.gethostname()
    if port != GOSSIP_PORT:
        name = f"{name}:{port}"
    try:
        _check_name(name)
    except ValueError as error:
        raise ConfigError(
            "name", f"must be given, as the host name cannot be used: {error}"
        ) from None
    return name


def _check_name(name: str) -> None:
    if not 1 <= len(_encoded(name)) <= NAME_BYTES_MAX:
        raise ValueError(f"expected 1 to {NAME_BYTES_MAX} bytes, not {name!r}")
    if name != name.strip() or any(map(_is_control, name)):
        raise ValueError(f"no control characters and no spaces at the ends, not {name!r}")


def _check_directory(path: str) -> None:
    if not path:
        raise ValueError("expected a directory, not an empty string")
    if "\0" in path:
        raise ValueError(f"no directory can be called {path!r}")
    try:
        Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"no home directory is known for {path!r}") from None


def _check_tags(tags: tuple[str, ...]) -> None:
    pairs = [_tag(text) for text in tags]
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"{key!r} is given more than once")
        if len(_encoded(key)) > TAG_KEY_SIZE_MAX:
            raise ValueError(f"expected a key of at most {TAG_KEY_SIZE_MAX} bytes, not {key!r}")
    if len(pairs) > TAGS_MAX:
        raise ValueError(f"{len(pairs)} tags are given, at most {TAGS_MAX} are allowed")
    size = sum(len(_encoded(key + value)) for key, value in pairs)
    if size > TAGS_BYTES_MAX:
        raise ValueError(
            f"all tags together are {size} bytes, at most {TAGS_BYTES_MAX} are allowed"
        )


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"expected K=V, not {text!r}")
    if any(map(_is_control, text)):
        raise ValueError(f"no control characters, not {text!r}")
    return key, value


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is not UTF-8") from None


def _is_control(sign: str) -> bool:
    return sign < " " or "\x7f" <= sign <= "\x9f"
