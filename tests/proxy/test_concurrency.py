"""How many calls one credential may have in flight."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.concurrency import Adaptive


class Vendor(NamedTuple):
    """A vendor with a hidden capacity, on a clock of its own.

    Attributes:
        capacity: calls it serves at once, at a time in seconds.
        queues: whether it lets more calls wait; else it refuses them.
        spread: standard deviation of the logarithm of its times.
    """

    capacity: Callable[[float], int]
    queues: bool
    spread: float = 0.3


def run(
    adaptive: Adaptive, vendor: Vendor, seconds: float, wanted: Callable[[float], int]
) -> list[tuple[float, int]]:
    """Keep as many calls in flight as are wanted and allowed; return the limit at each end."""
    chance, numbers, now = random.Random(5), count(), 0.0
    flight: list[tuple[float, int, float | None]] = []
    serving: list[float] = []
    course = []
    while now < seconds:
        while len(flight) < min(adaptive.limit, wanted(now)):
            first_s = 0.3 * math.exp(chance.gauss(0, vendor.spread))
            whole_s = first_s + math.exp(chance.gauss(0, vendor.spread))
            serving = sorted(end for end in serving if end > now)
            over = len(serving) - vendor.capacity(now)
            if over >= 0 and not vendor.queues:
                heappush(flight, (now + 0.05, next(numbers), None))
                continue
            wait_s = serving[over] - now if over >= 0 else 0.0
            serving.append(now + wait_s + whole_s)
            heappush(flight, (serving[-1], next(numbers), wait_s + first_s))
        now, _, first = heappop(flight)
        if first is None:
            adaptive.rejected(now)
        else:
            adaptive.success(now, first, len(flight) + 1)
        course.append((now, adaptive.limit))
    return course


def usual(course: list[tuple[float, int]], since: float, until: float) -> tuple[int, int]:
    """The band in which the limit was for nine tenths of the time."""
    limits = sorted(limit for now, limit in course if since <= now < until)
    return limits[len(limits) // 20], limits[-len(limits) // 20]


@pytest.mark.parametrize("spread", [0.1, 0.8])
@pytest.mark.parametrize("queues", [False, True], ids=["refuses", "queues"])
def test_it_finds_a_hidden_capacity_and_follows_it(queues: bool, spread: float) -> None:
    """Between half and twice what the vendor takes, also after that has changed."""

    def capacity(now: float) -> int:
        return 16 if now < 120 else 32 if now < 300 else 8

    adaptive = Adaptive(1, 64)
    course = run(
        adaptive, Vendor(capacity, queues, spread), 420, lambda now: 8 if now < 20 else 1000
    )

    for since, until, hidden in ((60, 120, 16), (220, 300, 32), (360, 420, 8)):
        low, high = usual(course, since, until)
        assert hidden / 2 <= low <= high <= 2 * hidden, (since, low, high)


def test_a_vendor_that_takes_everything_is_not_held_back() -> None:
    """Short and long prompts, whose first tokens differ by factors, are no overload."""
    course = run(Adaptive(1, 64), Vendor(lambda _: 1000, True, 0.8), 200, lambda _: 1000)

    assert usual(course, 0, 200)[0] >= 48


def test_a_vendor_that_became_slower_for_good_is_found_usual_in_the_end() -> None:
    """The limit falls first, and comes back once nothing is gained by that."""
    adaptive, now, lowest = Adaptive(2, 40), 0.0, 40
    for _ in range(500):
        now += 0.1
        adaptive.success(now, 0.3, adaptive.limit)
    for _ in range(20_000):
        now += 0.1
        adaptive.success(now, 1.5, adaptive.limit)
        lowest = min(lowest, adaptive.limit)

    assert (lowest, adaptive.limit) == (2, 40)


def test_it_grows_by_one_for_as_many_successes_as_it_allows() -> None:
    """Ten at a limit of ten, then eleven."""
    adaptive = Adaptive(1, 100)
    adaptive.limit, adaptive._exact = 10, 10.0
    limits = []
    for _ in range(23):
        adaptive.success(0.0, None, adaptive.limit)
        limits.append(adaptive.limit)

    assert [limits.index(limit) + 1 for limit in (11, 12)] == pytest.approx([11, 22], abs=1)


def test_it_does_not_grow_while_it_is_not_used() -> None:
    """Nothing has been learned of more calls than were made."""
    adaptive = Adaptive(1, 64)
    adaptive.rejected(0.0)
    for now in range(1, 1000):
        adaptive.success(float(now), 0.3, 20)

    assert adaptive.limit == 44


def test_it_stays_between_its_bounds() -> None:
    """However many are refused or go well."""
    adaptive = Adaptive(3, 9)
    for now in range(100):
        adaptive.rejected(float(10 * now))
    assert adaptive.limit == 3
    for now in range(1000, 2000):
        adaptive.success(float(now), 0.3, adaptive.limit)
    assert adaptive.limit == 9


@pytest.mark.parametrize("trouble", ["rejected", "timed_out"])
def test_one_burst_of_trouble_lowers_it_once(trouble: str) -> None:
    """A hundred calls that run into the same wall are one piece of news."""
    adaptive = Adaptive(1, 100)
    for _ in range(100):
        getattr(adaptive, trouble)(10.0)
    for _ in range(100):
        getattr(adaptive, trouble)(10.9)
    assert adaptive.limit == 70
    getattr(adaptive, trouble)(11.0)
    assert adaptive.limit == 49


def test_what_ends_well_right_after_trouble_does_not_raise_it() -> None:
    """Those calls were begun before."""
    adaptive = Adaptive(1, 100)
    adaptive.rejected(10.0)
    for _ in range(1000):
        adaptive.success(10.5, 0.3, 100)
    assert adaptive.limit == 70


@settings(deadline=None)
@given(st.floats(0.05, 30), st.floats(0, 1e6), st.integers(0, 200))
def test_a_single_outlier_never_lowers_it(first_s: float, late_s: float, place: int) -> None:
    """However late it is, and whenever it comes."""
    adaptive = Adaptive(1, 50)
    for step in range(300):
        adaptive.success(float(step), late_s if step == place else first_s, 50)
        assert adaptive.limit == 50


def test_first_tokens_late_again_and_again_lower_it_by_a_tenth() -> None:
    """Three times later than usual is too late, a little later is not."""
    limits = []
    for late_s in (0.9, 0.5):
        adaptive = Adaptive(1, 100)
        for step in range(300):
            adaptive.success(step / 100, 0.3 if step < 200 else late_s, 100)
        limits.append(adaptive.limit)

    assert limits == [90, 100]


def test_a_delay_of_the_network_is_no_overload() -> None:
    """Of a vendor next door that answers in a millisecond, ten are no sign of trouble."""
    adaptive = Adaptive(1, 100)
    for step in range(2000):
        adaptive.success(step / 10, 0.001 if step < 200 else 0.01, 100)
    assert adaptive.limit == 100


def test_whole_answers_tell_nothing_of_first_tokens() -> None:
    """But they raise the limit as others do."""
    adaptive = Adaptive(1, 10)
    adaptive.rejected(0.0)
    for step in range(200):
        adaptive.success(10.0 + step, None, adaptive.limit)
    assert adaptive.limit == 10
