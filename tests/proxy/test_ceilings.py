"""A ceiling on what goes to one account of a vendor in any minute."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.ceilings import Ceiling

SLOT_S = 0.5
"""A 120th of a minute: how much later than the vendor the ceiling may forget."""

START_S = 12345.0


def test_a_limit_may_be_used_at_once() -> None:
    """A burst is no offence; the next one waits until the first is forgotten."""
    ceiling = Ceiling(3)
    for _ in range(3):
        assert ceiling.wait_s(START_S) == 0
        ceiling.take(START_S)

    assert 60 <= ceiling.wait_s(START_S) <= 60 + 2 * SLOT_S
    assert ceiling.wait_s(START_S + 59.9) > 0
    assert ceiling.wait_s(START_S + 61) == 0


@pytest.mark.parametrize(
    ("taken", "amount", "wait_s"),
    [
        ([], 100, 0),
        ([(0, 40)], 60, 0),
        ([(0, 40)], 61, 60),
        ([(0, 40), (20, 40)], 20, 0),
        ([(0, 40), (20, 40)], 60, 60 - 20),
        ([(0, 40), (20, 40)], 61, 60),
        ([(0, 40), (20, 40)], 100, 60),
        ([(0, 40), (20, 40)], 1000, 60),
        ([], 1000, 0),
        ([(0, 1000)], 1, 60),
    ],
)
def test_it_tells_how_long_to_wait(
    taken: list[tuple[float, float]], amount: float, wait_s: float
) -> None:
    """For exactly as much as is wanted; more than the limit may go when nothing else does."""
    ceiling = Ceiling(100)
    for at, units in taken:
        ceiling.take(START_S + at, units)

    told = ceiling.wait_s(START_S + (taken[-1][0] if taken else 0), amount)
    assert told == 0 if not wait_s else wait_s <= told <= wait_s + 2 * SLOT_S


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_is_above_zero(limit: float) -> None:
    """One of zero would never let anything go."""
    with pytest.raises(ValueError, match="more than 0"):
        Ceiling(limit)


def test_a_limit_may_change() -> None:
    """A vendor's headers may tell that it is another one."""
    ceiling = Ceiling(2)
    ceiling.take(START_S, 2)
    assert ceiling.wait_s(START_S) > 0
    ceiling.limit = 4
    assert (ceiling.wait_s(START_S), ceiling.left(START_S)) == (0, 0.5)
    ceiling.limit = 1
    assert (ceiling.wait_s(START_S) > 0, ceiling.left(START_S)) == (True, 0)


def test_what_is_left_is_a_share_of_the_limit() -> None:
    """From all of it to nothing, also when more was used than the limit."""
    ceiling = Ceiling(100)
    shares = []
    for units in (0, 25, 50, 75):
        ceiling.take(START_S, units)
        shares.append(ceiling.left(START_S))
    assert shares == [1.0, 0.75, 0.25, 0.0]
    assert ceiling.left(START_S + 61) == 1.0


def test_real_use_is_settled() -> None:
    """An answer shorter than reserved makes room at once, a longer one takes it."""
    ceiling = Ceiling(100)
    ceiling.take(START_S, 80)
    ceiling.settle(START_S + 5, -50)
    assert ceiling.left(START_S + 5) == 0.7
    ceiling.settle(START_S + 5, 20)
    assert ceiling.left(START_S + 5) == 0.5
    assert ceiling.left(START_S + 61) == 0.8


def test_a_call_that_outlived_the_window_gives_nothing_back() -> None:
    """What it took is forgotten already; the others' is not touched."""
    ceiling = Ceiling(100)
    ceiling.take(START_S, 80)
    ceiling.take(START_S + 70, 60)
    ceiling.settle(START_S + 71, -80, START_S)

    assert ceiling.left(START_S + 71) == 0.4


def test_less_is_never_taken_back_twice() -> None:
    """However much is given back, nobody gets more than the limit."""
    ceiling = Ceiling(100)
    ceiling.take(START_S, 10)
    ceiling.settle(START_S, -50)
    ceiling.settle(START_S, -50, START_S)
    assert ceiling.left(START_S) == 1.0
    ceiling.take(START_S, 100)
    assert ceiling.left(START_S) == 0.0


PAUSES = st.floats(0, 20).map(lambda pause_s: round(pause_s, 3))
CALLS = st.lists(st.tuples(PAUSES, st.integers(1, 40)), max_size=80)


@settings(deadline=None)
@given(CALLS, st.integers(1, 100))
def test_no_window_has_more_than_the_limit(calls: list[tuple[float, int]], limit: int) -> None:
    """Wherever it is laid; and who waits as long as told may go, at most a slot too late."""
    ceiling, sent, now = Ceiling(limit), list[tuple[float, int]](), START_S
    for pause_s, wanted in calls:
        now += pause_s
        amount = min(wanted, limit)
        exact = now
        while sum(a for at, a in sent if at > exact - 60) + amount > limit:
            exact = min(at for at, _ in sent if at > exact - 60) + 60
        now += ceiling.wait_s(now, amount)
        assert ceiling.wait_s(now, amount) == 0
        assert now <= exact + SLOT_S + 0.001
        ceiling.take(now, amount)
        sent.append((now, amount))

    for end, _ in sent:
        assert sum(a for at, a in sent if end - 60 < at <= end) <= limit


@settings(deadline=None)
@given(st.lists(st.tuples(PAUSES, st.integers(1, 40), st.integers(0, 60)), max_size=60))
def test_what_is_used_is_never_less_than_really(calls: list[tuple[float, int, int]]) -> None:
    """Nor more than what was used in a window that is a slot longer."""
    ceiling, now = Ceiling(10_000), START_S
    sent: list[list[float]] = []
    for index, (pause_s, amount, real) in enumerate(calls):
        now += pause_s
        ceiling.take(now, amount)
        sent.append([now, amount])
        other = index // 2
        at, difference = sent[other][0], real - sent[other][1]
        if difference < 0:
            sent[other][1] += difference
            ceiling.settle(now, difference, at)
        else:
            sent.append([now, difference])
            ceiling.settle(now, difference, at)
        used = (1 - ceiling.left(now)) * 10_000
        assert sum(a for at, a in sent if at > now - 60) <= used + 1e-6
        assert used <= sum(a for at, a in sent if at > now - 60 - 1.001 * SLOT_S) + 1e-6


@settings(deadline=None)
@given(CALLS)
def test_its_memory_is_bounded(calls: list[tuple[float, int]]) -> None:
    """A slot has one number, however many calls come."""
    ceiling, now = Ceiling(10), START_S
    for pause_s, amount in calls * 5:
        now += pause_s / 20
        ceiling.take(now, amount)

    assert len(ceiling._log) <= 122
