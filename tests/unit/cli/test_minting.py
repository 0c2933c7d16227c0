"""Keys of the client's own making, and how UUIDs are read."""

from __future__ import annotations

import time
from uuid import RFC_4122, UUID

import pytest

from gossipd.cli.minting import key, mint, uuid


def test_a_minted_key_is_a_uuid_of_version_7_with_the_time_in_front(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_645_557_742_000_999_999)
    text = mint()
    minted = UUID(text)
    assert (minted.version, minted.variant, str(minted)) == (7, RFC_4122, text)
    assert text.startswith("017f22e2-79b0-7")  # RFC 9562, appendix A.6


def test_minted_keys_differ_in_all_their_random_bits() -> None:
    minted = [UUID(mint()).int for _ in range(500)]
    assert len(set(minted)) == 500
    ever, always = 0, -1
    for number in minted:
        ever, always = ever | number, always & number
    assert (ever & ~always).bit_count() >= 74


@pytest.mark.parametrize("text", ["x", "order 4711", "{017F22E2-79B0-7CC3}", "ü" * 255, "\n"])
def test_a_key_is_any_text_as_it_is_given(text: str) -> None:
    assert key(text) == text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("", "not 0"), ("x" * 256, "1 to 255 characters, not 256"), ("\udcff", "expected UTF-8")],
)
def test_what_no_daemon_takes_for_a_key_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        key(text)


def test_an_id_is_read_in_any_case_and_told_in_lower() -> None:
    assert uuid("017F22E2-79B0-7CC3-98C4-DC0C0C07398F") == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(
    "text",
    ["", "x", "017f22e279b07cc398c4dc0c0c07398f", "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
     "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n", "017f22e2-79b0-7cc3-98c4-dc0c0c07398٣"],
)  # fmt: skip
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a UUID with hyphens"):
        uuid(text)
