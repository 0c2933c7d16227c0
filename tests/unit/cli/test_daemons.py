"""Asking several daemons, and again: whom, when, how long, and what is told in the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gossipd.cli.daemons import (
    NOTHING_DONE,
    PAUSE_MAX,
    TRY_TIMEOUT,
    Daemons,
    Patience,
    waiting_time,
)
from gossipd.client import (
    Answer,
    AskingError,
    Client,
    NoAnswerError,
    RefusedError,
    StrangerError,
    UnresolvedError,
)
from gossipd.client.exchange import Response
from gossipd.config.endpoint import Endpoint
from gossipd.config.unix import ApiAddress

A, B, C = (Endpoint("127.0.0.1", port) for port in (1, 2, 3))
DONE = Answer("1", 1)
DOUBT = "perhaps counted"


def _refused_connection() -> NoAnswerError:
    return NoAnswerError("nobody at it", "refused", passing=True)


def _broken() -> NoAnswerError:
    return NoAnswerError("it hung up", "hung up", passing=True, doubtful=True)


def _problem(status: int, detail: str = "no", retry_after: str = "") -> RefusedError:
    response = Response()
    response.feed(f"HTTP/1.1 {status} no\r\nRetry-After: {retry_after}\r\n\r\n".encode())
    return RefusedError.of(response, {"status": status, "detail": detail}, changing=True)


def _stranger(status: int) -> StrangerError:
    error = StrangerError("a proxy's", doubtful=True)
    error.status = status
    return error


class World:
    """A clock that only sleeping and slow daemons move, and a script of what comes of a try."""

    def __init__(self, *script: AskingError | Answer) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.slept: list[float] = []
        self.timeouts: list[float] = []
        self.costs = 0.0
        self._script = list(script)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def send(self, client: Client) -> Answer:
        self.timeouts.append(client.timeout)
        self.now += min(self.costs, client.timeout)
        outcome = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(outcome, Answer):
            return outcome
        raise outcome

    def ask(self, within: float, *addresses: Endpoint, held_back: float = 0) -> Answer:
        patience = Patience(within, self.said.append, lambda: self.now, self.sleep, held_back)
        return patience.ask(Daemons(addresses or (A,), TRY_TIMEOUT), self.send, lambda: DOUBT)


def test_the_first_daemon_that_answers_is_the_last_that_is_asked() -> None:
    world = World(_refused_connection(), DONE)
    assert world.ask(30, A, B, A) is DONE
    assert len(world.timeouts) == 2
    assert (world.said, world.slept) == ([], [])


@pytest.mark.parametrize(
    "passing",
    [
        _refused_connection,
        _broken,
        lambda: _problem(503),
        lambda: _problem(429),
        lambda: UnresolvedError("no address"),
        lambda: _stranger(502),
        lambda: _stranger(403),
    ],
)
def test_what_may_pass_leads_to_the_next_daemon(passing: Callable[[], AskingError]) -> None:
    world = World(passing(), DONE)
    assert Daemons((A, B), 1).ask(world.send) is DONE


@pytest.mark.parametrize("status", [400, 409, 422, 500, 504])
def test_any_other_refusal_is_the_answer(status: int) -> None:
    world = World(_problem(status, "because"), DONE)
    with pytest.raises(RefusedError, match="because"):
        world.ask(30, A, B)
    assert len(world.timeouts) == 1


def test_who_may_have_done_it_is_asked_again_before_any_other() -> None:
    asked: list[ApiAddress] = []
    script: list[AskingError | Answer]
    script = [_refused_connection(), _broken(), _broken(), _refused_connection(), DONE]

    def send(client: Client) -> Answer:
        asked.append(client.api)
        outcome = script.pop(0)
        if isinstance(outcome, Answer):
            return outcome
        raise outcome

    daemons = Daemons((A, B, C), 1)
    with pytest.raises(NoAnswerError, match=r"refused; .*hung up; .*refused") as told:
        daemons.ask(send, lambda: 30.0)
    assert told.value.doubtful
    assert asked == [A, B, B, C]
    assert daemons.ask(send, lambda: 30.0) is DONE
    assert asked[4:] == [B], "in the next round, too"


def test_where_each_is_asked_once_nobody_is_asked_again() -> None:
    world = World(_broken(), DONE)
    assert Daemons((A, B), 1).ask(world.send) is DONE
    assert len(world.timeouts) == 2


def test_it_is_asked_again_until_it_is_done_and_that_is_said_once() -> None:
    world = World(_refused_connection(), _refused_connection(), _broken(), DONE)
    assert world.ask(30) is DONE
    assert world.said == ["127.0.0.1:1: refused; trying again for 30 s"]


def test_pauses_double_up_to_their_limit_with_a_jitter_that_only_shortens() -> None:
    world = World(*[_refused_connection() for _ in range(10)], DONE)
    world.ask(10_000)
    limits = [min(0.1 * 2**number, PAUSE_MAX) for number in range(10)]
    for slept, limit in zip(world.slept, limits, strict=True):
        assert limit / 2 <= slept <= limit


@pytest.mark.parametrize(("asked", "least", "most"), [("2", 2, 2), ("3600", PAUSE_MAX, PAUSE_MAX)])
def test_a_daemon_that_wants_to_be_left_alone_is(asked: str, least: float, most: float) -> None:
    world = World(_problem(503, "full", asked), DONE)
    world.ask(300)
    assert least <= world.slept[0] <= most


@pytest.mark.parametrize("costs", [0, 1, 1000])
@pytest.mark.parametrize("within", [0.05, 2, 30])
def test_the_time_in_all_is_kept_and_used(within: float, costs: float) -> None:
    world = World(_refused_connection())
    world.costs = costs
    with pytest.raises(NoAnswerError):
        world.ask(within, A, B)
    assert within - 0.2 <= world.now - 100 <= within + 0.2


def test_one_daemon_that_hangs_does_not_take_the_time_of_all() -> None:
    world = World(_broken())
    world.costs = 1000
    with pytest.raises(NoAnswerError):
        world.ask(12, A, B)
    assert world.timeouts[:2] == [TRY_TIMEOUT, TRY_TIMEOUT]
    assert world.timeouts[2] < 2


def test_no_time_at_all_is_one_try_at_each() -> None:
    world = World(_refused_connection())
    with pytest.raises(NoAnswerError) as silence:
        world.ask(0, A, B)
    assert world.timeouts == [TRY_TIMEOUT, TRY_TIMEOUT]
    assert (world.said, world.slept) == ([], [])
    told = "no daemon answers: 127.0.0.1:1: refused; 127.0.0.1:2: refused"
    assert str(silence.value) == told


def test_the_end_tells_the_last_failure_and_how_often_it_was_tried() -> None:
    world = World(_refused_connection())
    with pytest.raises(NoAnswerError) as silence:
        world.ask(5)
    tries = len(world.timeouts)
    assert str(silence.value) == f"nobody at it; {tries} tries in 5 s"
    assert tries > 5


def test_an_answer_among_silences_makes_it_a_refusal() -> None:
    with pytest.raises(RefusedError, match=r"^127.0.0.1:1: refused; 127.0.0.1:2: full"):
        World(_refused_connection(), _problem(503, "full")).ask(0, A, B)


def test_a_doubt_of_any_try_is_told_in_the_end() -> None:
    with pytest.raises(NoAnswerError, match=rf"nobody at it; \d+ tries in 5 s; {DOUBT}$"):
        World(_broken(), _refused_connection()).ask(5)
    with pytest.raises(RefusedError, match=f"^mistake; {DOUBT}$"):
        World(_problem(500, "mistake")).ask(5)


@pytest.mark.parametrize("addresses", [(A,), (A, B)])
def test_a_refusal_after_a_doubt_tells_that_only_this_try_did_nothing(
    addresses: tuple[Endpoint, ...],
) -> None:
    world = World(_broken(), _problem(422, "expired"))
    with pytest.raises(RefusedError, match=f"^expired; {NOTHING_DONE}; {DOUBT}$") as refusal:
        world.ask(30, *addresses)
    assert refusal.value.status == 422


def test_a_refusal_that_tells_it_itself_is_left_as_it_is() -> None:
    world = World(_broken(), _problem(422, f"expired: {NOTHING_DONE}"))
    with pytest.raises(RefusedError) as refusal:
        world.ask(30, A, B)
    assert str(refusal.value) == f"expired: {NOTHING_DONE}; {DOUBT}"


def test_a_refusal_without_a_doubt_is_told_alone() -> None:
    for addresses in (A,), (A, B):
        with pytest.raises(RefusedError, match=r"^expired$"):
            World(_refused_connection(), _problem(422, "expired")).ask(30, *addresses)


def test_a_name_that_has_no_address_is_not_asked_again() -> None:
    world = World(UnresolvedError("no such host"))
    with pytest.raises(RefusedError, match=r"^no such host$"):
        world.ask(30)
    assert world.slept == []


def test_a_name_that_has_no_address_for_now_is_asked_again() -> None:
    assert World(UnresolvedError("try again", passing=True), DONE).ask(30) is DONE


def test_a_strangers_refusal_leaves_a_doubt_whatever_its_status() -> None:
    with pytest.raises(StrangerError, match=rf"^a proxy's; \d+ tries in 5 s; {DOUBT}$"):
        World(_stranger(403)).ask(5)


def test_a_question_has_one_deadline_of_which_each_daemon_has_its_share() -> None:
    world = World(_refused_connection())
    with pytest.raises(NoAnswerError):
        Daemons((A, B), 2).question(world.send)
    first, second = world.timeouts
    assert 0.9 < first <= 1
    assert 1.8 < second <= 2
    world.timeouts.clear()
    with pytest.raises(NoAnswerError):
        Daemons((A, B), 60).question(world.send)
    first, second = world.timeouts
    assert first == TRY_TIMEOUT
    assert 59 < second <= 60


def test_who_asks_for_time_is_given_it_beside_that_for_trying() -> None:
    world = World(*[_problem(429, "too many keys", "40")] * 3, DONE)
    assert world.ask(30, held_back=900) is DONE
    assert world.slept == [40, 40, 40]
    assert world.said == ["127.0.0.1:1: too many keys; waiting as it asks"]


def test_who_asks_for_time_again_and_again_is_not_waited_for_for_ever() -> None:
    world = World(_problem(429, "too many keys", "3600"))
    with pytest.raises(RefusedError, match="too many keys"):
        world.ask(30, held_back=900)
    assert 900 <= world.now - 100 <= 931


def test_each_progress_gives_the_time_anew() -> None:
    def progressing() -> RefusedError:
        error = _problem(503, "full", "60")
        error.progress = True
        return error

    world = World(*[progressing() for _ in range(50)], DONE)
    assert world.ask(30, held_back=100) is DONE
    assert world.now > 3000


def test_a_daemon_is_left_time_to_answer_when_it_waits_for_others() -> None:
    found = {timeout: waiting_time(Client(A, timeout)) for timeout in (0.001, 2, 10, 300)}
    assert found == {0.001: "1ms", 2: "1600ms", 10: "9000ms", 300: "60000ms"}
