"""Redis' patterns."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.core import Refused
from gossipd.sideport.resp.patterns import LENGTH_MAX, pattern


@pytest.mark.parametrize(
    ("text", "fit", "others"),
    [
        ("*", ["", "a", "a b", "é\n"], []),
        ("page:*", ["page:", "page:1"], ["pag", "xpage:1"]),
        ("*:1", [":1", "a:1", "1:1:1"], ["a:11", "1"]),
        ("h?llo", ["hello", "hällo"], ["hllo", "heello"]),
        ("h*l*o", ["hllo", "hello", "hlo"], ["hello!", "ho"]),
        ("h[ae]llo", ["hello", "hallo"], ["hillo", "haello"]),
        ("h[^e]llo", ["hallo", "h^llo"], ["hello"]),
        ("h[a-c]llo", ["hbllo"], ["hdllo", "h-llo"]),
        ("h[c-a]llo", ["hbllo"], ["hdllo"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[]x", [], ["]x", "x", "[]x"]),
        ("[^]x", ["ax"], ["x"]),
        ("[a\\]]", ["a", "]"], ["\\"]),
        ("[\\a-\\c]", ["b"], ["-"]),
        ("[ab", ["a", "b"], ["[ab", "c"]),
        ("[!a]", ["!", "a"], ["b"]),
        ("a\\*b", ["a*b"], ["axb", "a\\*b"]),
        ("a\\", ["a\\"], ["a"]),
        ("a.b+(c)|^$", ["a.b+(c)|^$"], ["axb"]),
        ("**a**", ["a", "xax"], ["x"]),
        ("", [""], ["a"]),
        ("*a*b*", ["ab", "xaxbx"], ["ba"]),
        ("é*", ["é1"], ["e1"]),
    ],
)
def test_it_fits(text: str, fit: list[str], others: list[str]) -> None:
    made = pattern(text)
    assert [name for name in fit if not made.fits(name)] == []
    assert [name for name in others if made.fits(name)] == []


def slowly(text: str, name: str) -> bool:
    """Stars and question marks, by trying everything."""
    if not text:
        return not name
    if text[0] == "*":
        return any(slowly(text[1:], name[at:]) for at in range(len(name) + 1))
    return bool(name) and text[0] in ("?", name[0]) and slowly(text[1:], name[1:])


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_stars_find_what_trying_everything_finds(text: str, name: str) -> None:
    made = pattern(text)
    assert bool(made.fits(name)) == slowly(text, name)
    assert name.startswith(made.beginning) or not slowly(text, name)


@given(st.text(max_size=40), st.text(max_size=10))
def test_any_text_is_a_pattern(text: str, name: str) -> None:
    pattern(text).fits(name)


@pytest.mark.parametrize(
    "text", ["a*" * 128, "*a" * 128, "*" + "?" * 120 + "b" + "*", "*[^x]" * 50]
)
def test_no_pattern_takes_long(text: str) -> None:
    made = pattern(text)
    began = time.process_time()
    for _ in range(10):
        made.fits("a" * 128)
    assert time.process_time() - began < 1.0, "trying everything takes longer than the sun has"


def test_a_pattern_has_a_length() -> None:
    pattern("x" * LENGTH_MAX)
    with pytest.raises(Refused, match="at most 256 characters"):
        pattern("x" * (LENGTH_MAX + 1))
