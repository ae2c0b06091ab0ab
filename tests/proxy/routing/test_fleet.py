"""Strategies against each other: five vendors, one of them ten times slower."""

from __future__ import annotations

import random

import pytest

from proxy import registry
from tests.fakes import exchange
from tests.proxy.routing.fleet import Clock, Fleet, Report, members

FAST_S, SLOW_S = 0.5, 5.0
LIGHT = 3.0  # calls a second: even the slow one can serve its fifth of them
HEAVY = 20.0  # six tenths of what all can serve together


def served(
    name: str, rate: float, patch: pytest.MonkeyPatch, calls: int = 6000
) -> tuple[Report, float]:
    """Return how a strategy did, and which part of the calls the slow one got."""
    random.seed(11)
    given = members(5)
    fleet = Fleet(Clock(patch), given, [FAST_S] * 4 + [SLOW_S])
    report = fleet.run(registry.strategy(name), rate, calls)
    return report, report.share(given[4])


@pytest.mark.parametrize("rate", [LIGHT, HEAVY])
def test_who_looks_at_load_or_latency_beats_chance(
    rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the mean and at the slow end; and latency knows more than load alone."""
    by_chance, _ = served("random", rate, monkeypatch)
    by_load, _ = served("least_busy", rate, monkeypatch)
    by_latency, _ = served("latency", rate, monkeypatch)

    assert by_latency.mean_s < by_load.mean_s < by_chance.mean_s
    assert by_latency.p99_s < by_load.p99_s <= by_chance.p99_s


def test_a_slow_one_is_left_alone_but_asked_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody else would notice that it has recovered."""
    _, share = served("latency", HEAVY, monkeypatch)

    assert 0 < share < 0.02


def test_who_becomes_slow_is_left_and_who_recovers_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within seconds, with nobody's help."""
    random.seed(3)
    given = members(3)
    fleet = Fleet(Clock(monkeypatch), given, [FAST_S] * 3)
    strategy = registry.strategy("latency")
    fleet.run(strategy, 6.0, 600)

    fleet.call_s[given[0]] = SLOW_S
    fleet.run(strategy, 6.0, 60)
    assert fleet.run(strategy, 6.0, 600).share(given[0]) < 0.05

    fleet.call_s[given[0]] = FAST_S
    fleet.run(strategy, 6.0, 600)
    assert fleet.run(strategy, 6.0, 600).share(given[0]) > 0.2


def test_a_newcomer_is_not_run_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets one call, and its share once that has come back."""
    random.seed(5)
    given = members(3)
    strategy = registry.strategy("latency")
    clock = Clock(monkeypatch)
    for member in given[:2]:
        member.health.observe(clock.now, FAST_S, stream=False)
        member.health.busy = 20

    first = []
    for _ in range(50):
        chosen = strategy.choose(given, exchange())
        chosen.health.busy += 1
        first.append(chosen)
    assert first.count(given[2]) == 1

    given[2].health.observe(clock.now, FAST_S, stream=False)
    assert [strategy.choose(given, exchange()) for _ in range(50)].count(given[2]) > 20
