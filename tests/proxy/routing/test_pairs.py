"""The power of two choices: who is drawn, and who is less busy."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from proxy.deployments import Deployment
from proxy.queues import Caller, ProviderUnit
from proxy.routing._pairs import first_s, less_busy, load, lot, pair
from tests.fakes import deployment, unit

CALLS = 6000


@pytest.fixture(autouse=True)
def _same_chance_each_time() -> None:
    random.seed(7)


def weighing(*weights: float) -> list[Deployment]:
    """Return a deployment of each weight."""
    return [deployment(f"p{n}", weight=weight) for n, weight in enumerate(weights)]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_two_different_ones_are_drawn(count: int) -> None:
    """Each two together as often as any other two."""
    given = weighing(*[1.0] * count)
    drawn = Counter(frozenset(given.index(d) for d in pair(given)) for _ in range(CALLS))

    pairs = count * (count - 1) // 2
    assert all(len(two) == 2 for two in drawn)
    assert len(drawn) == pairs
    assert all(seen == pytest.approx(CALLS / pairs, rel=0.2) for seen in drawn.values())


def test_the_only_one_is_both() -> None:
    """There is nothing to choose."""
    (only,) = weighing(1)

    assert pair([only]) == (only, only)


@pytest.mark.parametrize("weights", [(3, 1), (1, 2, 3), (10, 1, 1, 1, 1), (0.5, 0.5, 4)])
def test_idle_ones_share_exactly_by_weight(weights: tuple[float, ...]) -> None:
    """However few or many they are."""
    given = weighing(*weights)
    seen = Counter(less_busy(*pair(given)) for _ in range(CALLS))

    for one in given:
        assert seen[one] / CALLS == pytest.approx(one.weight / sum(weights), abs=0.03)


@pytest.mark.parametrize(
    ("busy", "weights", "first"),
    [
        ((1, 2), (1, 1), True),
        ((2, 1), (1, 1), False),
        ((2, 1), (4, 1), True),
        ((10, 4), (3, 1), True),
        ((0, 1), (1, 100), False),
        ((0, 60), (1, 100), True),
        ((1, 0), (1, 1), False),
    ],
)
def test_the_less_busy_is_so_for_its_weight(
    busy: tuple[int, int], weights: tuple[float, float], first: bool
) -> None:
    """Ten calls are less for a weight of three than four for a weight of one."""
    one, other = weighing(*weights)
    one.health.busy, other.health.busy = busy

    assert less_busy(one, other) is (one if first else other)
    assert less_busy(other, one) is (one if first else other)


def test_equals_are_a_lot() -> None:
    """Both get calls, and the heavier one gets more."""
    one, other = weighing(3, 1)
    one.health.busy, other.health.busy = 1, 0  # 1.5 calls for 3 are as many as 0.5 for 1
    seen = Counter(less_busy(one, other) for _ in range(CALLS))
    drawn = Counter(lot(one, other) for _ in range(CALLS))

    assert seen[one] / CALLS == pytest.approx(0.75, abs=0.03)
    assert drawn[one] / CALLS == pytest.approx(0.75, abs=0.03)


async def test_what_waits_is_load_too() -> None:
    """The next call would stand behind it."""
    small: ProviderUnit = unit("small", workers=1, queue=5)
    waits = deployment("small", unit=small)
    works = deployment("works", unit=unit("works", workers=9))
    works.health.busy, waits.health.busy = 2, 1
    assert less_busy(works, waits) is waits

    small.try_enter()
    lines = [asyncio.ensure_future(small.enter(Caller())) for _ in range(3)]
    await asyncio.sleep(0)

    assert load(waits) == 4
    assert less_busy(works, waits) is works
    for line in lines:
        line.cancel()
    await asyncio.gather(*lines, return_exceptions=True)


def test_what_was_slow_is_forgiven_to_one_call() -> None:
    """While that one is under way, it is as slow as it was."""
    slow = deployment("slow")
    assert first_s(slow, 0, False, 0.0) == 0

    slow.health.observe(0.0, 8.0, stream=True)

    assert first_s(slow, 0, True, 0.0) == 8.0
    assert first_s(slow, 0, True, 100.0) < 0.1
    assert first_s(slow, 1, True, 100.0) == 8.0
    assert first_s(slow, 1, False, 100.0) == 8.0
