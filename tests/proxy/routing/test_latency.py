"""The sooner of two: first tokens, calls in flight and weights."""

from __future__ import annotations

import random

import pytest

from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.routing.latency import Latency
from tests.fakes import deployment, exchange
from tests.proxy.routing.fleet import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the strategies' clock."""
    random.seed(7)
    return Clock(monkeypatch)


def measured(
    clock: Clock, name: str, first_s: float, busy: int = 0, weight: float = 1
) -> Deployment:
    """Return a deployment whose streams begin after so many seconds."""
    made = deployment(name, weight=weight)
    made.health.observe(clock.now, first_s, stream=True)
    made.health.busy = busy
    return made


def streaming() -> Exchange:
    """Return an exchange that wants a stream."""
    made = exchange()
    made.stream = True
    return made


@pytest.mark.parametrize(
    ("first", "second", "sooner"),
    [
        ((0.3, 0, 1), (0.6, 0, 1), 0),
        ((0.3, 2, 1), (0.6, 0, 1), 1),
        ((0.3, 2, 1), (0.6, 1, 1), 0),
        ((0.3, 5, 3), (0.6, 1, 1), 0),
    ],
)
def test_the_sooner_one_is_chosen(
    clock: Clock,
    first: tuple[float, int, float],
    second: tuple[float, int, float],
    sooner: int,
) -> None:
    """First token times calls, this one too, for the weight."""
    given = [measured(clock, "a", *first), measured(clock, "b", *second)]

    assert {Latency().choose(given, streaming()) for _ in range(20)} == {given[sooner]}


def test_a_newcomer_is_asked_once_at_a_time(clock: Clock) -> None:
    """First of all, and then not before that call has told something."""
    known, new = measured(clock, "known", 0.3, busy=9), deployment("new")
    strategy = Latency()
    assert strategy.choose([known, new], streaming()) is new

    new.health.busy = 1
    assert strategy.choose([known, new], streaming()) is known

    new.health.observe(clock.now, 0.3, stream=True)
    assert strategy.choose([known, new], streaming()) is new


def test_where_nobody_knows_anything_the_load_decides(clock: Clock) -> None:
    """As at the start of the gateway."""
    given = [deployment("a"), deployment("b")]
    for _ in range(10):
        Latency().choose(given, streaming()).health.busy += 1

    assert [one.health.busy for one in given] == [5, 5]


def test_whole_answers_are_judged_by_whole_answers(clock: Clock) -> None:
    """Who begins at once may take long to end."""
    quick, brief = measured(clock, "quick", 0.1), measured(clock, "brief", 0.5)
    quick.health.observe(clock.now, 9.0, stream=False)
    brief.health.observe(clock.now, 2.0, stream=False)

    assert Latency().choose([quick, brief], streaming()) is quick
    assert Latency().choose([quick, brief], exchange()) is brief


def test_it_says_what_decides(clock: Clock) -> None:
    """In seconds and calls."""
    known, new = measured(clock, "known", 0.35, busy=2, weight=2), deployment("new")

    assert Latency().score(known, streaming()) == (
        "first token 0.35 s x 3 in flight with this one, weight 2"
    )
    assert Latency().score(new, streaming()) == "not measured yet: one call finds out, 0 in flight"
