"""Strategies: each chooses one of the candidates, by its own rule."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from proxy import registry
from proxy.attempts import Attempts
from proxy.deployments import Deployment
from proxy.errors import UpstreamFailed
from proxy.routing.priority import Priority
from proxy.routing.random import Random
from proxy.routing.round_robin import RoundRobin
from proxy.routing.weighted import Weighted
from tests.fakes import deployment, exchange, route


@pytest.fixture(autouse=True)
def _same_chance_each_time() -> None:
    random.seed(7)


def shares(strategy: object, given: list[Deployment], calls: int = 3000) -> list[float]:
    """Return which part of the calls each deployment gets."""
    counted = Counter(strategy.choose(given, exchange()) for _ in range(calls))  # type: ignore[attr-defined]
    return [counted[one] / calls for one in given]


@pytest.mark.parametrize("name", sorted(registry.strategy_names()))
def test_a_strategy_chooses_a_candidate(name: str) -> None:
    """However many there are."""
    strategy = registry.strategy(name)
    given = [deployment(name) for name in "abcde"]
    for size in range(1, 6):
        for _ in range(10):
            assert strategy.choose(given[:size], exchange()) in given[:size]


def test_round_robin_takes_each_in_turn() -> None:
    """Everybody gets the same."""
    strategy = RoundRobin()
    given = [deployment(name) for name in "abc"]

    assert [strategy.choose(given, exchange()) for _ in range(6)] == given * 2


def test_two_routes_do_not_share_a_turn() -> None:
    """Each has a strategy of its own."""
    given = [deployment("a"), deployment("b")]
    first, second = RoundRobin(), RoundRobin()
    first.choose(given, exchange())

    assert second.choose(given, exchange()) is given[0]


def test_round_robin_goes_on_though_one_always_fails() -> None:
    """A second attempt takes no turn from the next exchange."""
    given = route(deployment("a"), deployment("b"), strategy=RoundRobin())
    firsts = []
    for _ in range(4):
        attempts = Attempts(given, "m", exchange(), 2)
        chosen = attempts.next(0).deployment
        firsts.append(chosen.unit.name)
        if chosen.unit.name == "a":
            attempts.failed(chosen, UpstreamFailed("x"))
            attempts.next(0)

    assert set(firsts) == {"a", "b"}


def test_random_gives_all_the_same() -> None:
    """Whatever their weights and priorities."""
    given = [deployment("a", weight=9, priority=1), deployment("b", weight=1, priority=2)]

    assert shares(Random(), given) == pytest.approx([0.5, 0.5], abs=0.05)


def test_weights_are_shares() -> None:
    """Three times the weight is three times the calls."""
    given = [deployment("a", weight=3), deployment("b", weight=1)]

    assert shares(Weighted(), given) == pytest.approx([0.75, 0.25], abs=0.05)


def test_the_lowest_priority_number_comes_first() -> None:
    """The others are for when it cannot serve."""
    a, b, c = deployment("a", priority=2), deployment("b", priority=1), deployment("c", priority=3)

    assert shares(Priority(), [a, b, c], 50) == [0, 1, 0]
    assert shares(Priority(), [a, c], 50) == [1, 0]


def test_equal_priorities_share_by_weight() -> None:
    """Both numbers mean what they say."""
    given = [deployment("a", weight=3), deployment("b", weight=1), deployment("c", priority=2)]

    assert shares(Priority(), given) == pytest.approx([0.75, 0.25, 0], abs=0.05)


@pytest.mark.parametrize("name", sorted(registry.strategy_names()))
def test_a_strategy_says_what_speaks_for_each(name: str) -> None:
    """In a few words on one line, and without a choice."""
    strategy = registry.strategy(name)

    said = strategy.score(deployment("a"), exchange())

    assert 0 < len(said) < 100
    assert said.isprintable()


@pytest.mark.parametrize("name", sorted(registry.strategy_names()))
def test_the_same_chance_makes_the_same_choice(name: str) -> None:
    """So that a test of a route can be repeated."""
    given = [deployment(name) for name in "abcde"]
    for number, one in enumerate(given):
        one.health.speed.observe(10.0 * number)
    chosen = []
    for _ in range(2):
        random.seed(3)
        strategy = registry.strategy(name)
        chosen.append([strategy.choose(given, exchange()) for _ in range(20)])

    assert chosen[0] == chosen[1]
