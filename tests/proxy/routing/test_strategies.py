"""Strategies: each chooses one of the candidates, by its own rule."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from proxy import registry
from proxy.attempts import Attempts
from proxy.catalogue import Model
from proxy.deployments import Deployment
from proxy.errors import UpstreamFailed
from proxy.routing import candidates, capable
from proxy.routing.priority import Priority
from proxy.routing.random import Random
from proxy.routing.round_robin import RoundRobin
from proxy.routing.weighted import Weighted
from proxy.wire import Request
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
        attempts = Attempts(given, exchange(), 2)
        chosen = attempts.next(0).deployment
        firsts.append(chosen.unit.name)
        if chosen.unit.name == "a":
            attempts.failed(chosen, UpstreamFailed("x"), 0)
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


def test_candidates_are_neither_tried_nor_full() -> None:
    """No strategy has to check it."""
    a, b, c = deployment("a"), deployment("b"), deployment("c")
    b.unit.busy = b.unit.workers

    assert list(candidates([a, b, c], [c], 0)) == [a]
    assert list(candidates([a, b, c], [a, c], 0)) == []


def test_a_cooling_one_is_no_candidate_while_another_is_left() -> None:
    """Its time is over at the very moment."""
    a, b = deployment("a"), deployment("b")
    a.cooling_until = 5

    assert list(candidates([a, b], [], 4)) == [b]
    assert list(candidates([a, b], [], 5)) == [a, b]
    assert list(candidates([a, b], [b], 4)) == [a]


def test_the_only_deployment_is_a_candidate_once() -> None:
    """Its queue says itself whether it is full."""
    a = deployment("a")

    assert list(candidates([a], [], 0)) == [a]
    assert list(candidates([a], [a], 0)) == []
    assert list(candidates([], [], 0)) == []


def knowing(name: str, *abilities: str) -> Deployment:
    """A deployment of whose model the catalogue knows these abilities."""
    return deployment(name, facts=Model(name, "v", 1000, 100, frozenset(abilities)))


@pytest.mark.parametrize(
    ("member", "ability"),
    [
        ('"tools":[{"type":"function"}]', "tools"),
        ('"response_format":{"type":"json_schema"}', "json_schema"),
        ('"messages":[{"content":[{"type":"image_url","image_url":{}}]}]', "vision"),
        ('"messages":[{"content":[{"type":"input_audio","input_audio":{}}]}]', "audio"),
    ],
)
def test_a_model_that_cannot_do_it_is_passed_over(member: str, ability: str) -> None:
    """While another can, or nothing is known of it."""
    able, unable, unknown = knowing("a", ability), knowing("b"), deployment("c")
    request = Request(f'{{"model":"m",{member}}}'.encode())

    assert list(capable([unable, able, unknown], request)) == [able, unknown]
    assert list(capable([unable], request)) == [unable]
    assert list(capable([unable, able], Request(b'{"model":"m","tools":[]}'))) == [unable, able]
