"""What a node seals with and what its members do, as people are told."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from pathlib import Path

import pytest

from gossipd.config.config import Config, Sealing
from gossipd.config.endpoint import Endpoint
from gossipd.core import Address, Drop, TagFrame
from gossipd.daemon.daemon import Daemon
from gossipd.daemon.sealing import HEARD_MAX, Seals
from gossipd.daemon.troubles import Troubles
from gossipd.sealing.changing import OVERHEAD_MAX
from gossipd.sealing.frame import SealedFrame
from gossipd.sealing.keyring import Keyring, Secret

A, B = (Secret(bytes(range(first, first + 32))) for first in (0, 100))
LOOPBACK, ANY, PEER = ("127.0.0.2", 7946), ("::", 7946), ("10.0.0.2", 7946)
STRANGER = ("10.0.0.3", 7946)
BODY = b"news" * 20


class Made:
    """A node's seals with all around them."""

    def __init__(self, *secrets: Secret, mode: Sealing = "require") -> None:
        self.troubles, self.sent = Troubles(), list[tuple[bytes, Address]]()
        config = Config(in_memory=True, sealing=mode, keyring="given")
        keyring = Keyring(secrets) if secrets else None
        self.seals = Seals(
            config,
            keyring,
            self.troubles,
            lambda data, to: self.sent.append((data, to)),
            lambda source: source != STRANGER,
        )

    def hear(self, data: bytes, source: Address = PEER) -> bytes | Drop:
        frame = self.seals.frame
        at_once, reason, found = frame.refusal(data), frame.judge(data), frame.open(data)
        assert at_once is None or at_once is reason
        if isinstance(found, Drop):
            assert found is reason
            self.seals.refused(found, len(data), source)
        else:
            assert reason is None
            self.seals.opened(source)
        return found


def unsealed() -> Seals:
    """Of a node without secrets."""
    return Made().seals


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x" * 1400, Drop.MAGIC),
        (b"x" * 1401, Drop.TOO_LARGE),
        (b"gd", Drop.TOO_SHORT),
        (TagFrame("another").close(BODY), Drop.FOREIGN),
        (SealedFrame("gossipd", Keyring((A,))).close(BODY), Drop.SEALED),
        (TagFrame("gossipd").close(BODY), None),
        (TagFrame("gossipd").close(BODY)[:-1], None),
    ],
)
def test_without_a_secret_what_begins_otherwise_is_refused_before_its_tag_is_made(
    data: bytes, reason: Drop | None
) -> None:
    assert unsealed().frame.refusal(data) is reason


def test_what_was_judged_is_opened_once() -> None:
    frame, data = Made(A).seals.frame, SealedFrame("gossipd", Keyring((A,))).close(BODY)
    assert frame.judge(data) is None
    assert [frame.open(data), frame.open(data)] == [BODY, Drop.REPLAYED]
    assert frame.judge(data) is Drop.REPLAYED


@pytest.mark.parametrize("bound", [ANY, PEER, ("fe80::1%eth0", 7946)])
def test_without_a_secret_all_who_can_be_reached_are_warned(
    bound: Address, caplog: pytest.LogCaptureFixture
) -> None:
    made = Made()
    made.seals.begin(bound)
    (alarm,) = made.troubles.texts
    assert alarm.startswith("nothing is sealed: everybody who reaches the gossip port can join")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert made.troubles.not_serving is None
    assert made.seals.report() == {"mode": "off", "seals": None, "opens": [], "from": None}
    with caplog.at_level(logging.INFO):
        made.seals.change(Keyring((A,)), "require")
    assert made.troubles.texts == []
    assert f"sealed with {A.fingerprint}, and opened with {A.fingerprint}" in caplog.text


@pytest.mark.parametrize("bound", [LOOPBACK, ("::1", 7946)])
def test_on_loopback_nobody_is(bound: Address) -> None:
    made = Made()
    made.seals.begin(bound)
    assert made.troubles.texts == []


def test_a_cluster_moves_to_a_secret_in_steps_in_which_all_understand_each_other() -> None:
    """Each mode against its neighbours, both ways; and not one step further."""
    modes: list[Sealing | None] = [None, "accept", "send", "require"]
    made = [Made() if mode is None else Made(A, mode=mode) for mode in modes]
    for i, one in enumerate(made):
        for j, other in enumerate(made):
            understood = other.hear(one.seals.frame.close(BODY)) == BODY
            understood &= one.hear(other.seals.frame.close(BODY)) == BODY
            assert understood == (abs(i - j) <= 1), (modes[i], modes[j])


def test_what_members_seal_with_is_what_they_have_shown() -> None:
    made = Made(A, B, mode="send")
    assert made.seals.of(PEER) is None
    for data, wanted in (
        (TagFrame("gossipd").close(BODY), "plain"),
        (SealedFrame("gossipd", Keyring((B,))).close(BODY), B.fingerprint),
        (SealedFrame("gossipd", Keyring((A,))).close(BODY), A.fingerprint),
        (SealedFrame("gossipd", Keyring((Secret.fresh(),))).close(BODY), A.fingerprint),
        (TagFrame("other").close(BODY), A.fingerprint),
    ):
        made.hear(data)
        assert made.seals.of(PEER) == wanted
    made.hear(SealedFrame("gossipd", Keyring((B,))).close(BODY), STRANGER)
    assert made.seals.of(STRANGER) is None
    sender = SealedFrame("gossipd", Keyring((B,)))
    for port in range(HEARD_MAX):
        made.hear(sender.close(BODY), ("10.0.0.4", port))
    assert made.seals.of(PEER) is None
    assert made.seals.of(("10.0.0.4", 1)) == B.fingerprint


def test_secrets_come_and_go_while_nothing_is_lost() -> None:
    made, peer = Made(A), SealedFrame("gossipd", Keyring((A,)))
    before, late = peer.close(BODY), peer.close(BODY)
    assert made.hear(before) == BODY
    made.seals.change(Keyring((A, B)), "require")
    assert made.hear(before) is Drop.REPLAYED  # what came is not forgotten
    made.seals.change(Keyring((B, A)), "require")
    assert made.seals.own == B.fingerprint
    assert peer.open(made.seals.frame.close(BODY)) is Drop.UNKNOWN_SECRET
    peer.change(Keyring((B, A)))
    assert peer.open(made.seals.frame.close(BODY)) == BODY
    assert [made.hear(late), made.hear(peer.close(BODY))] == [BODY, BODY]
    old = SealedFrame("gossipd", Keyring((A,))).close(BODY)
    made.seals.change(Keyring((B,)), "require")
    assert made.hear(old) is Drop.UNKNOWN_SECRET
    assert made.hear(peer.close(BODY)) == BODY
    assert made.seals.report() == {
        "mode": "require",
        "seals": B.fingerprint,
        "opens": [B.fingerprint],
        "from": str(Path.cwd() / "given"),
    }


def test_a_keyring_that_is_gone_leaves_no_node_open(caplog: pytest.LogCaptureFixture) -> None:
    made = Made(A)
    made.seals.change(None, "require")
    assert "the secrets stay until a new start" in caplog.text
    assert made.hear(TagFrame("gossipd").close(BODY)) is Drop.UNSEALED
    made.seals.change(None, "send")
    (alarm,) = made.troubles.texts
    assert alarm == "sealing is send: what is not sealed is taken, too, from everybody"
    assert not made.seals.is_closed
    made.seals.change(Keyring((A,)), "require")
    assert made.troubles.texts == []
    assert made.seals.is_closed


def test_who_does_not_fit_is_told_so_with_less_than_it_has_sent_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert max(TagFrame.overhead, SealedFrame.overhead) == OVERHEAD_MAX
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    sealed, plain, other = Made(A), Made(), Made(B)
    for one, two, reason in (
        (plain, sealed, Drop.SEALED),
        (sealed, plain, Drop.UNSEALED),
        (other, sealed, Drop.UNKNOWN_SECRET),
    ):
        two.sent.clear()
        now += 1.0
        data = one.seals.frame.close(BODY)
        two.hear(data)
        two.hear(data)
        ((answer, to),) = two.sent
        assert to == PEER
        assert len(answer) < len(data)
        one.sent.clear()
        assert one.hear(answer) is reason
        assert one.sent == []
    for noise in (b"ping" * 20, TagFrame("d").close(BODY), sealed.seals.frame.close(BODY)[:-1]):
        sealed.sent.clear()
        now += 1.0
        sealed.hear(noise)
        assert sealed.sent == []


async def test_a_node_that_has_stood_still_seals_under_another_salt(tmp_path: Path) -> None:
    """It may be one of two that go on from a snapshot, and what it sends taken for replayed."""
    path = tmp_path / "keyring"
    path.touch(0o600)
    path.write_text(A.text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as seed:
        seed.bind(("127.0.0.1", 0))
        seed.setblocking(False)
        any_port = Endpoint("127.0.0.1", 0)
        asked = f"127.0.0.1:{seed.getsockname()[1]}"
        config = Config(bind=any_port, api=(any_port,), name="one", in_memory=True,
                        join=(asked,), keyring=str(path))  # fmt: skip
        daemon = await Daemon.open(config)
        serving = asyncio.create_task(daemon.serve())

        async def salt() -> bytes:
            return (await asyncio.get_running_loop().sock_recv(seed, 2000))[12:28]

        async with asyncio.timeout(20):
            first = await salt()
            assert await salt() == first
            time.sleep(1.6)  # noqa: ASYNC251  that is what stands still, over a round of probes
            while await salt() == first:
                pass
            daemon.service.leave()
            assert await serving == 0
