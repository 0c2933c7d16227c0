"""The page of a node in a real browser."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gossipd.config.endpoint import Endpoint
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort
from tests.e2e.bounds import allowed, report
from tests.e2e.browser import PROGRAM, Browser, Tab
from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, until
from tests.unit.sideport.fake import FakeBackend

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs chromium")

MEMBERS = 1000
COUNTERS = 5000
NARROW = 360
WIDE = 1280

HOSTILE = "<img src=x onerror=alert(1)>\u202egpj.exe"
"""A counter's name that would be an element, and then turns what follows it."""

CONTRAST_MIN = 4.5
"""WCAG 2.2, 1.4.3, for text of any size."""


class Crowd(FakeBackend):
    """A node of a large cluster, with something of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.values = {f"page/{number:04d}": number**4 for number in range(COUNTERS)}
        self.values |= {"1": -7, "__proto__": 2**61 + 1, HOSTILE: 3}
        self.failed_at = 0.0
        """When the third one failed; 0: it has not."""

    def members(self, prefix: str, after: str) -> Iterator[dict[str, object]]:
        for number in sorted(range(MEMBERS), key=str):
            name = f"node-{number}" if number != 7 else f"node-7-{'x' * 57}"
            if not name.startswith(prefix) or name <= after:
                continue
            state = {7: "suspect", 8: "failed", 9: "left"}.get(number, "alive")
            since = time.time() - 60 * number
            if number == 2 and self.failed_at:
                state, since = "failed", self.failed_at
            yield {
                "name": name,
                "address": f"10.1.{number // 250}.{number % 250}:7946",
                "state": state,
                "self": number == 0,
                "rtt_ms": None if number == 0 else number / 100,
                "tags": {"rack": f"r{number % 20}"},
                "since": since,
                "why": "no answer to a probe" if state in ("suspect", "failed") else None,
            }

    def _events(self) -> Iterator[dict[str, object]]:
        return iter(())

    def status(self) -> dict[str, object]:
        return {
            "name": "node-0",
            "address": "10.1.0.0:7946",
            "cluster": "shop",
            "version": "1",
            "ready": True,
            "leaving": False,
            "members": {"alive": MEMBERS - 3, "suspect": 1, "failed": 1, "left": 1},
            "changes": int(5000 * time.monotonic()),
            "counters": len(self.values),
            "streams": 850_000,
            "registers": 5_000_000,
            "limits": {"streams": 1_000_000, "registers": 5_000_000, "keys": 1_000_000},
            "keys": {"held": 0, "doubles": 0, "doubles_held": 12},
            "fingerprint": "da326387ef790782",
            "agreeing": MEMBERS - 4,
            "health": 1,
            "alarms": ["850,000 of at most 1,000,000 streams"],
        }


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@contextmanager
def served(limits: Limits, crowd: Crowd | None = None) -> Iterator[str]:
    """The address of a port in front of a `Crowd`."""
    loop, port = asyncio.new_event_loop(), SidePort(crowd or Crowd(), limits)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(port.listen(Endpoint("127.0.0.1", 0)), loop).result(10)
        host, number = port.addresses[0]
        yield f"http://{host}:{number}/"
    finally:
        asyncio.run_coroutine_threadsafe(port.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def crowd() -> Iterator[str]:
    with served(Limits()) as address:
        yield address


@pytest.fixture(scope="module")
def crowded(browser: Browser, crowd: str) -> Tab:
    """The page of that port."""
    tab = browser.open(crowd, WIDE)
    tab.shows("document.querySelectorAll('tbody tr').length >= 150")
    return tab


def page_of(node: Node) -> str:
    return f"http://{node.api[0]}:{node.api[1]}/"


def row_of(section: str, name: str) -> str:
    """A script for the text of a row, by the name that begins it."""
    return (
        f"([...document.querySelectorAll('#{section}-rows tr')].find(row =>"
        f" row.querySelector('.name').textContent === {name!r})?.innerText ?? '')"
    )


def test_it_follows_counts_and_members_and_says_when_nobody_answers(
    cluster: Cluster, browser: Browser
) -> None:
    one, two = cluster.start(2, "--profile", "local")
    tab = browser.open(page_of(one))
    tab.shows("document.getElementById('verdict-title').innerText.includes('2 members alive')")
    two.increment("visits", 3)
    tab.shows("document.getElementById('link').textContent === 'live'")
    tab.shows(f"/^visits\\s+3\\b/.test({row_of('counters', 'visits')})")
    follows = "/events?counts=string&counter=visits"
    until(lambda: any(follows in url for url in tab.heard()), 15.0, "the counter is followed")
    tab.call("Network.setBlockedURLs", urls=["*/counters?*"])
    two.increment("visits", 39)
    tab.shows(f"/^visits\\s+42\\b/.test({row_of('counters', 'visits')})")
    tab.call("Network.setBlockedURLs", urls=[])
    tab.shows(f"/alive/.test({row_of('members', 'n2')})")
    tab.complaints.clear()

    two.kill()
    tab.shows(f"/failed/.test({row_of('members', 'n2')})", within=30.0)
    tab.shows("/n2/.test(document.getElementById('changes').innerText)")
    tab.shows("/n2 is failed/.test(document.getElementById('said').textContent)")
    tab.shows("/not all is well/.test(document.getElementById('verdict').innerText)")
    assert {url.split("/")[2] for url in tab.heard()} == {f"{one.api[0]}:{one.api[1]}"}
    assert tab.complaints == []

    one.send(signal.SIGSTOP)
    tab.shows("/does not answer, since/.test(document.getElementById('verdict').innerText)")
    one.send(signal.SIGCONT)
    tab.shows("/ready, but/.test(document.getElementById('verdict').innerText)")
    one.increment("visits", 8)
    tab.shows(f"/^visits\\s+50\\b/.test({row_of('counters', 'visits')})")
    one.kill()
    tab.shows("/does not answer, since/.test(document.getElementById('verdict').innerText)")
    one.start("--profile", "local")
    tab.shows("/is not ready/.test(document.getElementById('verdict').innerText)")
    tab.close()


def test_a_thousand_members_and_thousands_of_counters_are_quickly_there(
    browser: Browser, crowd: str
) -> None:
    tab = browser.open(crowd, WIDE)
    seconds = tab.shows("document.querySelectorAll('#members-rows tr').length > 0")
    report(f"{MEMBERS} members on the page", seconds)
    assert seconds < allowed(2.0)
    tab.shows("document.querySelectorAll('#counters-rows tr').length === 50")
    assert tab.run("document.querySelectorAll('#members-rows tr').length") == 100
    told = tab.run("document.getElementById('counters-shown').textContent")
    assert told == f"The first 50; the node has {COUNTERS + 3:,} counters"
    first = tab.run("document.querySelector('#members-rows tr').innerText")
    assert "x" * 57 in first
    assert "no answer to a probe" in first
    type_into(tab, "members-search", "node-77")
    tab.shows("document.querySelectorAll('#members-rows tr').length === 11")
    type_into(tab, "counters-search", "page/123")
    tab.shows("document.querySelectorAll('#counters-rows tr').length === 10")
    assert tab.run(row_of("counters", "page/1234")).split()[1] == f"{1234**4:,}"
    type_into(tab, "counters-search", "__pro")
    tab.shows(f"/2,305,843,009,213,693,953/.test({row_of('counters', '__proto__')})")
    tab.close()


def test_counters_that_move_too_fast_to_be_followed_are_asked_for(crowded: Tab) -> None:
    crowded.shows("/^[345],\\d{3}$/.test(document.getElementById('rate').textContent)")
    before = len(crowded.heard())
    until(lambda: asked_for_counters(crowded, before) > 2, 15.0, "counters are asked for")
    assert not any("/events?counts" in url for url in crowded.asked[before:])


def asked_for_counters(tab: Tab, before: int) -> int:
    return sum("/counters?" in url for url in tab.heard()[before:])


def test_a_node_that_cannot_be_followed_is_asked(browser: Browser) -> None:
    with served(Limits(watchers_max=0)) as address:
        tab = browser.open(address)
        tab.shows("document.getElementById('link').textContent === 'asked every second'")
        tab.shows("document.querySelectorAll('#members-rows tr').length === 100")
        until(lambda: asked_for_counters(tab, 0) > 2, 15.0, "counters are asked for")
        tab.close()


def test_windows_that_use_up_the_connections_of_a_browser_go_on_to_hear_the_node(
    cluster: Cluster, browser: Browser
) -> None:
    """Browsers have 6 to one address."""
    node, *_ = cluster.start(1)
    tabs = [browser.open(page_of(node), own_window=True) for _ in range(7)]
    for tab in tabs:
        tab.shows("/All is well/.test(document.getElementById('verdict').innerText)")
        assert tab.run("document.visibilityState") == "visible"
    node.increment("visits", 3)
    for tab in tabs:
        tab.shows(f"/^visits\\s+3\\b/.test({row_of('counters', 'visits')})")
    links = {tab.run("document.getElementById('link').textContent") for tab in tabs}
    assert links <= {"live", "asked every second"}  # on a busy machine few are live
    for tab in tabs:
        tab.close()


def followed(cluster: Cluster, browser: Browser) -> tuple[Node, Node, Tab]:
    """Two nodes, and the page of the first, which follows it and has shown the other one."""
    one, two = cluster.start(2, "--profile", "local")
    tab = browser.open(page_of(one))
    tab.shows(f"/alive/.test({row_of('members', 'n2')})")
    tab.shows("document.getElementById('link').textContent === 'live'")
    return one, two, tab


def test_what_was_told_while_a_list_was_on_its_way_is_newer(
    cluster: Cluster, browser: Browser
) -> None:
    one, two, tab = followed(cluster, browser)
    tab.hold("*/members")
    until(lambda: tab.heard() and tab.held, 15.0, "members are asked for")
    two.kill()
    tab.shows(f"/failed/.test({row_of('members', 'n2')})", within=30.0)
    asked = tab.asked.count(page_of(one) + "members")
    tab.let_go()
    until(
        lambda: tab.heard().count(page_of(one) + "members") > asked,
        15.0,
        "they are asked for again",
    )
    changes = tab.run("document.getElementById('changes').innerText")
    assert "is failed" in changes
    assert "is alive" not in changes
    tab.close()


def test_a_change_that_is_heard_of_late_is_told_with_its_own_time(
    cluster: Cluster, browser: Browser
) -> None:
    one, two, tab = followed(cluster, browser)
    tab.call("Debugger.enable")
    tab.call("Debugger.pause")
    two.kill()
    until(lambda: one.state_of("n2") == "failed", 30.0, "n2 is failed")
    since = next(row["since"] for row in one.get("/members") if row["name"] == "n2")
    until(lambda: time.time() > since + 4, 10.0, "that is a while ago")
    tab.call("Debugger.resume")
    tab.call("Debugger.disable")
    tab.shows("/is failed/.test(document.getElementById('changes').innerText)")
    assert changed_at(tab) == pytest.approx(since, abs=1.0)
    tab.close()


def test_an_answer_that_takes_long_says_nothing_of_the_clock_of_the_node(browser: Browser) -> None:
    crowd = Crowd()
    with served(Limits(watchers_max=0), crowd) as address:
        tab = browser.open(address)
        tab.shows("document.querySelectorAll('#members-rows tr').length === 100")
        tab.hold("*/members")
        until(lambda: tab.heard() and tab.held, 15.0, "members are asked for")
        crowd.failed_at = time.time()
        tab.let_some_go()
        until(lambda: tab.heard() and tab.held, 15.0, "they are asked for again")
        answered_at = time.time()
        until(lambda: time.time() > answered_at + 4, 10.0, "the answer takes a while")
        tab.let_go()
        tab.shows("/is failed/.test(document.getElementById('changes').innerText)")
        assert changed_at(tab) == pytest.approx(crowd.failed_at, abs=1.0)
        tab.close()


def changed_at(tab: Tab) -> float:
    """When a member failed, as the page tells, in seconds since 1970."""
    told: float = tab.run(
        "Date.parse([...document.querySelectorAll('#changes li')]"
        ".find(each => each.innerText.includes('is failed')).querySelector('time').dateTime)"
    )
    return told / 1000


def test_after_a_sleep_it_tells_how_old_is_what_it_shows(
    cluster: Cluster, browser: Browser
) -> None:
    node, *_ = cluster.start(1)
    tab = browser.open(page_of(node))
    tab.shows("/All is well/.test(document.getElementById('verdict').innerText)")
    node.send(signal.SIGSTOP)
    tab.run("(now => { Date.now = () => now() + 3600000; })(Date.now)")
    tab.shows("/Asking.*is 1 h old/s.test(document.getElementById('verdict').innerText)")
    tab.shows("/does not answer.*is 1 h old/s.test(document.getElementById('verdict').innerText)")
    node.send(signal.SIGCONT)
    tab.shows("/All is well/.test(document.getElementById('verdict').innerText)")
    tab.close()


def test_a_refused_search_is_no_fault_of_the_node(cluster: Cluster, browser: Browser) -> None:
    node, *_ = cluster.start(1)
    tab = browser.open(page_of(node))
    tab.shows("/All is well/.test(document.getElementById('verdict').innerText)")
    tab.run("document.querySelector('#orders [value=recent]').click()")
    type_into(tab, "counters-search", "x" * 300)
    tab.shows("/prefix/.test(document.getElementById('counters-shown').innerText)")
    assert "All is well" in tab.run("document.getElementById('verdict').innerText")
    tab.close()


def test_a_token_that_is_good_no_more_leaves_what_is_old(
    cluster: Cluster, browser: Browser, tmp_path: Path
) -> None:
    tokens, old = tmp_path / "tokens", 32 * "0"
    tokens.write_text(f"read {old}\n")
    tokens.chmod(0o600)
    node = cluster.add()
    node.start("--tokens", str(tokens))
    until(lambda: node.ready, 20.0, "it is ready")
    tab = browser.open("about:blank")
    tab.call("Page.navigate", url=page_of(node).replace("://", f"://any:{old}@"))
    tab.shows("/All is well/.test(document.getElementById('verdict')?.innerText)")
    tokens.write_text(f"read {32 * '1'}\n")
    node.send(signal.SIGHUP)
    tab.shows(
        "/does not tell how it is.*; load this.*is \\d+ s old/s"
        ".test(document.getElementById('verdict').innerText)"
    )
    assert tab.run("document.getElementById('link').textContent") == "refused"
    tab.close()


def type_into(tab: Tab, field: str, text: str) -> None:
    tab.run(f"document.getElementById('{field}').select()")
    tab.call("Input.insertText", text=text)


def test_names_are_text_and_what_they_hide_is_shown(crowded: Tab) -> None:
    text = crowded.run(
        "[...document.querySelectorAll('#counters-rows .name')].map(name => name.innerText)"
        ".find(name => name.includes('onerror'))"
    )
    assert text == "<img src=x onerror=alert(1)>U+202Egpj.exe"
    assert crowded.run("document.images.length") == 0
    with pytest.raises(AssertionError, match="TrustedHTML"):
        crowded.run("document.body.innerHTML = '<b>'")
    crowded.heard()
    assert [complaint for complaint in crowded.complaints if "TrustedHTML" not in complaint] == []


@pytest.mark.parametrize("width", [320, NARROW, 601, 901, 1081, WIDE])
def test_it_fits(crowded: Tab, width: int) -> None:
    crowded.resize(width)
    assert crowded.run("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_it_can_be_read(crowded: Tab, width: int, scheme: str) -> None:
    crowded.resize(width)
    crowded.prefer(prefers_color_scheme=scheme)
    ground = crowded.run("getComputedStyle(document.documentElement).backgroundColor")
    assert (ground == "rgb(15, 19, 24)") == (scheme == "dark")
    poor = {
        f"{found['text']}: {ratio:.2f}"
        for found in crowded.run(COLOURS)
        if (ratio := contrast(found["text_colour"], found["ground"])) < CONTRAST_MIN
    }
    assert poor == set()


COLOURS = """
[...document.querySelectorAll('body *')].flatMap(element => {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility() || element.closest('script, .unseen, .skip')) return [];
  const opaque = (at) => getComputedStyle(at).backgroundColor !== 'rgba(0, 0, 0, 0)';
  let behind = element;
  while (behind !== document.documentElement && !opaque(behind)) behind = behind.parentElement;
  return [{ text: element.textContent.slice(0, 40),
    text_colour: getComputedStyle(element).color.match(/\\d+/g).map(Number),
    ground: getComputedStyle(behind).backgroundColor.match(/\\d+/g).map(Number) }];
})
"""


def contrast(one: list[int], other: list[int]) -> float:
    """Of two colours, by WCAG's formula."""
    lighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: list[int]) -> float:
    parts = (part / 255 for part in colour[:3])
    linear = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_keyboard_reaches_everything_and_shows_where_it_is(crowded: Tab) -> None:
    crowded.resize(WIDE)
    crowded.run("document.activeElement.blur()")
    wanted = crowded.run(
        "[...document.querySelectorAll('a, button, input, summary')]"
        ".filter(each => each.checkVisibility()).map(each => each.id || each.textContent)"
    )
    reached, outlines = [], []
    for _ in wanted:
        crowded.press("Tab", 9)
        at = crowded.run(
            "(at => [at.id || at.textContent, getComputedStyle(at).outlineStyle])"
            "(document.activeElement)"
        )
        reached.append(at[0])
        outlines.append(at[1])
    assert reached == wanted
    assert "none" not in outlines
    crowded.run("document.querySelector('#states [value=failed]').focus()")
    crowded.press(" ", 32)
    crowded.shows("document.querySelectorAll('#members-rows tr').length === 1")
    pressed = "document.querySelector('#states [aria-pressed=true]').value"
    assert crowded.run(pressed) == "failed"
    assert crowded.run("document.activeElement.value") == "failed"
    crowded.run("document.querySelector('#states [value=all]').click()")


def test_a_screen_reader_hears_names_and_roles(crowded: Tab) -> None:
    crowded.shows("document.querySelectorAll('#members-rows tr').length === 100")
    nodes = crowded.accessible()
    by_role: dict[str, list[str]] = {}
    for node in nodes:
        by_role.setdefault(value(node, "role"), []).append(value(node, "name"))
    for role in "button", "link", "searchbox", "table", "region", "figure", "image", "heading":
        assert by_role[role], role
        assert "" not in by_role[role], role
    assert by_role["columnheader"] == [
        *("Member", "State, since", "Round trip", "Counter", "Count", "A second")
    ]
    assert "node-1 10.1.0.1:7946 rack=r1" in by_role["rowheader"]
    assert {"main", "banner", "contentinfo", "navigation"} <= set(by_role)
    live = [
        node for node in nodes
        if any(each == {"name": "live", "value": {"type": "token", "value": "polite"}}
               for each in node.get("properties", ()))
    ]  # fmt: skip
    assert live


def value(node: dict[str, Any], field: str) -> str:
    return str(node.get(field, {}).get("value", ""))
