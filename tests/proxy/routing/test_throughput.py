"""The faster of two, in tokens per second."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from proxy import registry
from proxy.deployments import Deployment
from proxy.routing.throughput import Throughput
from tests.fakes import deployment, exchange


@pytest.fixture(autouse=True)
def _same_chance_each_time() -> None:
    random.seed(7)


def writing(name: str, speed: float, busy: int = 0) -> Deployment:
    """Return a deployment that writes so many tokens a second."""
    made = deployment(name)
    made.health.busy = busy
    if speed:
        made.health.speed.observe(speed)
    return made


def test_the_faster_one_is_chosen() -> None:
    """Most of the time: a twentieth finds out whether the other still is slower."""
    fast, slow = writing("fast", 90), writing("slow", 30)
    seen = Counter(Throughput().choose([fast, slow], exchange()) for _ in range(4000))

    assert seen[slow] / 4000 == pytest.approx(0.025, abs=0.01)


def test_nobody_is_explored_who_is_not_to_be() -> None:
    """The share is an option."""
    fast, slow = writing("fast", 90), writing("slow", 30)
    strategy = registry.strategy("throughput", {"explore": "0%"})

    assert {strategy.choose([fast, slow], exchange()) for _ in range(300)} == {fast}


def test_the_fastest_of_many_is_not_run_over() -> None:
    """It is only chosen when it is drawn, and about as fast is as good."""
    given = [writing("a", 100), writing("b", 95), writing("c", 50), writing("d", 40)]
    strategy = Throughput(explore=0)
    for _ in range(100):
        strategy.choose(given, exchange()).health.busy += 1
    a, b, c, d = (one.health.busy for one in given)

    assert abs(a - b) <= 10
    assert a > c > d == 0


def test_a_newcomer_is_asked_once_at_a_time() -> None:
    """First of all, and then not before that call has told something."""
    known, new = writing("known", 90), writing("new", 0)
    strategy = Throughput(explore=0)
    assert strategy.choose([known, new], exchange()) is new

    new.health.busy = 1
    assert strategy.choose([known, new], exchange()) is known


def test_newcomers_among_themselves_share_by_load() -> None:
    """As at the start of the gateway."""
    given = [writing("a", 0), writing("b", 0)]
    for _ in range(10):
        Throughput(explore=0).choose(given, exchange()).health.busy += 1

    assert [one.health.busy for one in given] == [5, 5]


def test_a_share_that_is_none_is_refused() -> None:
    """With a sentence for whoever wrote it."""
    with pytest.raises(ValueError, match="more than the whole"):
        registry.strategy("throughput", {"explore": "150%"})


def test_it_says_how_fast_each_is() -> None:
    """In tokens per second."""
    assert Throughput().score(writing("a", 87.654, 2), exchange()) == (
        "87.7 tokens per second, 2 in flight"
    )
    assert "not measured yet" in Throughput().score(writing("b", 0), exchange())
