"""The less busy of two."""

from __future__ import annotations

import random

from proxy.routing.least_busy import LeastBusy
from tests.fakes import deployment, exchange


def test_the_busiest_of_all_gets_nothing() -> None:
    """Whomever it is drawn with is less busy."""
    random.seed(7)
    given = [deployment(name) for name in "abc"]
    for busy, one in enumerate(given):
        one.health.busy = busy
    chosen = [LeastBusy().choose(given, exchange()) for _ in range(300)]

    assert given[2] not in chosen
    assert chosen.count(given[0]) > chosen.count(given[1]) > 0


def test_calls_in_flight_even_out_by_weight() -> None:
    """A weight of three holds three times as many."""
    random.seed(7)
    given = [deployment("a", weight=3), deployment("b"), deployment("c")]
    for _ in range(50):
        LeastBusy().choose(given, exchange()).health.busy += 1

    assert [one.health.busy for one in given] == [30, 10, 10]


def test_it_says_how_busy_each_is() -> None:
    """In numbers."""
    one = deployment("a", weight=2)
    one.health.busy = 3

    assert LeastBusy().score(one, exchange()) == "3 in flight, weight 2"
