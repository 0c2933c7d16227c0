"""Sealed datagrams."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.core import Drop, TagFrame
from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.sealing.changing import ChangingFrame
from gossipd.sealing.frame import COUNTERS, PADDING, SALT_SIZE, SENDERS_MAX, WINDOW, SealedFrame
from gossipd.sealing.keyring import Keyring, Secret
from tests.effort import examples

A, B = (Secret(bytes(range(first, first + 32))) for first in (0, 100))
BODY = b"three orders of visits"


def frame(*secrets: Secret, cluster: str = "c", counter: int = 0) -> SealedFrame:
    return SealedFrame(cluster, Keyring(secrets or (A,)), counter=counter)


def test_a_body_comes_out_as_it_went_in_and_is_not_to_be_seen() -> None:
    one, other = frame(), frame()
    for body in (b"", b"x", BODY, b"x" * (DATAGRAM_SIZE_MAX - SealedFrame.overhead)):
        sealed = one.close(body)
        assert len(sealed) == len(body) + SealedFrame.overhead
        assert len(body) < 2 or body not in sealed
        assert other.open(sealed) == body


def test_what_is_sealed_is_pinned() -> None:
    """So that nodes of two versions understand each other."""
    fixed = SealedFrame("c", Keyring((A,)), urandom=bytes, counter=5)
    assert fixed.close(BODY).hex() == (
        "6764010135c981526eac55910000000000000000000000000000000000000005"
        "00000000000000006c0242f43b592f754e2337b563db99b81de55400ef4baa11"
        "5f3843d8930866393175ac0ee02c"
    )


def test_all_secrets_open_and_the_first_one_seals() -> None:
    assert frame(B, A).open(frame(A).close(BODY)) == BODY
    assert frame(A).open(frame(A, B).close(BODY)) == BODY
    assert frame(A).open(frame(B, A).close(BODY)) is Drop.UNKNOWN_SECRET


def test_no_two_processes_and_no_two_datagrams_are_sealed_alike() -> None:
    one, other = frame(), frame()
    assert len({each.close(BODY)[-16:] for each in (one, other, one, other)}) == 4


@examples(50)
@given(st.binary(max_size=100), st.randoms(use_true_random=False))
def test_each_flipped_bit_and_each_truncation_is_noticed_and_harms_nothing(
    body: bytes, rng: random.Random
) -> None:
    sender, receiver = frame(), frame()
    if rng.random() < 0.5:
        assert receiver.open(sender.close(b"before")) == b"before"
    sealed = sender.close(body)
    for bit in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        assert isinstance(receiver.open(bytes(damaged)), Drop)
    for length in range(len(sealed)):
        assert isinstance(receiver.open(sealed[:length]), Drop)
    assert receiver.open(sealed + b"x") is Drop.FORGED
    assert receiver.open(sealed) == body
    assert receiver.open(sealed) is Drop.REPLAYED


@examples(300)
@given(st.binary(max_size=DATAGRAM_SIZE_MAX + 1), st.integers(0, 60))
def test_any_bytes_are_dropped_for_a_reason(noise: bytes, kept: int) -> None:
    receiver = frame()
    assert isinstance(receiver.open(frame().close(BODY)[:kept] + noise), Drop | bytes)
    assert isinstance(receiver.open(noise), Drop)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Drop.TOO_SHORT),
        (b"ping\n", Drop.TOO_SHORT),
        (b"x" * 1400, Drop.MAGIC),
        (b"x" * 1401, Drop.TOO_LARGE),
        (frame().close(b"")[:-1], Drop.TOO_SHORT),
        (b"gd\x02" + frame().close(b"")[3:], Drop.VERSION),
        (b"gd\x01\x02" + frame().close(b"")[4:], Drop.VERSION),
        (frame(cluster="d").close(BODY), Drop.FOREIGN),
        (TagFrame("d").close(BODY), Drop.FOREIGN),
        (TagFrame("c").close(BODY), Drop.UNSEALED),
        (frame(B).close(BODY), Drop.UNKNOWN_SECRET),
    ],
    ids=lambda value: value.name if isinstance(value, Drop) else "",
)
def test_what_does_not_open_has_a_reason(data: bytes, reason: Drop) -> None:
    assert frame(A).open(data) is reason
    assert frame(A).peek(data) is reason
    assert frame(A).refusal(data) is reason


def test_what_takes_another_key_to_tell_is_not_refused_before_it_is_opened() -> None:
    receiver, sender = frame(), frame()
    first, second = sender.close(BODY), sender.close(BODY)
    damaged = second[:-1] + bytes((second[-1] ^ 1,))
    assert receiver.refusal(damaged) is None
    assert receiver.open(first) == BODY
    assert receiver.refusal(first) is Drop.REPLAYED
    assert receiver.refusal(damaged) is Drop.FORGED
    assert receiver.refusal(second) is None
    assert receiver.open(second) == BODY


def test_only_what_is_sealed_is_padded() -> None:
    changing = ChangingFrame("c")
    assert changing.padding == 1
    changing.change(Keyring((A,)), sends_plain=True, takes_plain=True)
    assert changing.padding == 1
    changing.change(Keyring((A,)), sends_plain=False, takes_plain=True)
    assert changing.padding == PADDING


def test_a_node_without_a_secret_knows_what_is_sealed() -> None:
    assert TagFrame("c").open(frame().close(BODY)) is Drop.SEALED
    assert TagFrame("d").open(frame().close(BODY)) is Drop.FOREIGN


def test_the_same_secret_seals_otherwise_in_each_cluster() -> None:
    """Also where the hashes of their names were the same."""
    sealed = bytearray(frame(cluster="d").close(BODY))
    sealed[:8] = frame(cluster="c").close(b"")[:8]
    assert frame(cluster="c").open(bytes(sealed)) is Drop.FORGED


def test_what_comes_back_to_its_sender_is_for_the_core_to_judge_and_comes_back_once() -> None:
    one = frame()
    sealed = one.close(BODY)
    assert one.open(sealed) == BODY
    assert one.open(sealed) is Drop.REPLAYED


def test_to_peek_changes_nothing() -> None:
    receiver, sealed = frame(), frame().close(BODY)
    assert [receiver.peek(sealed), receiver.peek(sealed)] == [BODY, BODY]
    assert receiver.open(sealed) == BODY
    assert receiver.peek(sealed) is Drop.REPLAYED
    assert receiver.peek(sealed[:-1] + b"?") in (Drop.FORGED, Drop.REPLAYED)


@examples(100)
@given(st.lists(st.integers(0, 3 * WINDOW), max_size=60), st.integers(0, COUNTERS - 4 * WINDOW))
def test_each_is_taken_once_in_any_order_and_none_that_is_far_behind(
    order: list[int], first: int
) -> None:
    sender = SealedFrame("c", Keyring((A,)), urandom=bytes)
    receiver, seen, largest = frame(), set[int](), -1
    for number in order:
        sealed = SealedFrame("c", Keyring((A,)), bytes, first + number).close(BODY)
        behind = largest - number >= WINDOW
        wanted = Drop.REPLAYED if number in seen or behind else BODY
        assert receiver.open(sealed) == wanted
        seen.add(number)
        largest = max(largest, number)
    assert sender.close(b"") != sender.close(b"")


def test_a_copy_of_a_process_repeats_no_nonce() -> None:
    one, copy = (SealedFrame("c", Keyring((A,)), random_from(seed)) for seed in (1, 2))
    first, second = one.close(BODY), copy.close(BODY)
    assert first[:32] == second[:32]
    assert first[32:40] != second[32:40]
    assert first[40:] != second[40:]
    assert frame().open(first) == frame().open(second) == BODY


def test_who_goes_on_from_a_snapshot_is_taken_as_soon_as_it_draws_another_salt() -> None:
    now, snapshot = (SealedFrame("c", Keyring((A,)), one_salt(), n) for n in (10**6, 5))
    receiver = frame()
    assert receiver.open(now.close(BODY)) == BODY
    assert receiver.open(snapshot.close(BODY)) is Drop.REPLAYED
    snapshot.renew()
    assert receiver.open(snapshot.close(BODY)) == BODY


def one_salt() -> Callable[[int], bytes]:
    """What is drawn first is the same each time."""
    first = iter([bytes(SALT_SIZE)])
    return lambda size: next(first, None) or os.urandom(size)


def random_from(seed: int) -> Callable[[int], bytes]:
    """Salts that are all alike, and what else is random."""
    rng = random.Random(seed)
    return lambda size: bytes(size) if size == SALT_SIZE else rng.randbytes(size)


def test_at_the_end_of_the_counter_a_sender_takes_another_salt() -> None:
    sender, receiver = frame(counter=COUNTERS - 1), frame()
    last, first, second = (sender.close(BODY) for _ in range(3))
    assert last[28:32] == b"\xff" * 4
    assert (first[28:32], second[28:32]) == (bytes(4), bytes(3) + b"\1")
    assert last[12:28] != first[12:28] == second[12:28]
    assert [receiver.open(each) for each in (second, last, first)] == [BODY] * 3


def test_strangers_do_not_fill_the_cache_and_holders_of_the_secret_only_to_its_bound() -> None:
    receiver, member = frame(), frame()
    before = member.close(BODY)
    assert receiver.open(before) == BODY
    rng = random.Random(7)
    for _ in range(2 * SENDERS_MAX):
        forged = before[:12] + rng.randbytes(len(before) - 12)
        assert receiver.open(forged) is Drop.FORGED
    assert receiver.open(before) is Drop.REPLAYED  # it is still remembered
    for _ in range(SENDERS_MAX - 1):
        assert receiver.open(frame().close(BODY)) == BODY
    assert receiver.open(before) is Drop.REPLAYED
    assert receiver.open(frame().close(BODY)) == BODY
    assert receiver.open(before) == BODY  # as after a restart
