"""Whether a deployment is left alone because it fails."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.breaker import Breaker, BreakerRules


class NoJitter(random.Random):
    """Draws zero, so that times are exact."""

    def random(self) -> float:
        return 0.0


RULES = BreakerRules(failures=3, least=10)


def breaker(rules: BreakerRules = RULES) -> Breaker:
    return Breaker(rules, NoJitter())


def opened(now: float = 100.0, rules: BreakerRules = RULES) -> Breaker:
    """One that has just opened by itself."""
    given = breaker(rules)
    for _ in range(rules.failures):
        given.failure(now, given.begin(now))
    assert given.state == "open"
    return given


@pytest.mark.parametrize(
    ("course", "state"),
    [
        ("", "closed"),
        ("ff", "closed"),
        ("fff", "open"),
        ("ffsff", "closed"),
        ("ffnf", "open"),
        ("nnnnnn", "closed"),
        ("ssffsffsf", "closed"),
        ("ssffsffssf", "open"),
        ("ssssssffsff", "closed"),
        ("sfsfsfsfsfff", "open"),
    ],
)
def test_it_opens_by_failures_in_a_row_or_by_their_share(course: str, state: str) -> None:
    """Three in a row here, or half of at least ten; what says nothing of health counts nothing."""
    given = breaker()
    for end in course:
        probe = given.begin(1.0)
        if end == "n":
            given.neutral(probe)
        else:
            (given.success if end == "s" else given.failure)(1.0, probe)

    assert given.state == state
    assert given.allows(1.0) is (state == "closed")


def test_failures_out_of_the_window_do_not_count() -> None:
    """Nine old ones and one new one are no ten; nine of the last 20 seconds are."""
    rules = BreakerRules(failures=99, least=10, window_s=30)
    for later, state in ((31.0, "closed"), (20.0, "open"), (1e9, "closed")):
        given = breaker(rules)
        for _ in range(9):
            given.failure(1000.0, False)
        given.failure(1000.0 + later, False)
        assert given.state == state


def test_an_opening_ends_in_one_probe() -> None:
    """Nothing goes through before its time, then one, which decides."""
    given = opened(100.0)
    assert (given.open_until, given.changes) == (105.0, 1)
    assert [given.allows(now) for now in (100.0, 104.9, 105.0)] == [False, False, True]
    assert given.begin(104.9) is False
    assert given.state == "open"

    assert given.begin(105.0) is True
    assert (given.state, given.allows(106.0), given.begin(106.0)) == ("half_open", False, False)
    given.success(107.0, True)
    assert (given.state, given.allows(107.0), given.begin(107.0)) == ("closed", True, False)
    assert given.changes == 3


def test_asking_changes_nothing() -> None:
    """Whoever only lists what is available takes nobody's place."""
    given = opened(100.0)
    assert all(given.allows(200.0) for _ in range(3))
    assert (given.state, given.changes) == ("open", 1)


def test_each_failed_probe_doubles_the_time() -> None:
    """Up to a bound; a recovery begins anew."""
    given, now, lengths = opened(0.0), 0.0, []
    for _ in range(6):
        now = given.open_until
        given.failure(now, given.begin(now))
        lengths.append(given.open_until - now)
    assert lengths == [10, 20, 40, 60, 60, 60]

    now = given.open_until
    given.success(now, given.begin(now))
    for _ in range(3):
        given.failure(now, given.begin(now))
    assert given.open_until - now == 5


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_openings_are_jittered_and_never_longer_than_told(seed: int) -> None:
    """So that not everybody tries at the same time."""
    given = Breaker(RULES, random.Random(seed))
    for _ in range(3):
        given.failure(0.0, False)

    assert 4.0 <= given.open_until <= 5.0


def test_a_probe_that_says_nothing_gives_its_place_back() -> None:
    """A client that left, or a rate limit, leaves the question open."""
    given = opened(100.0)
    assert given.begin(105.0) is True
    given.neutral(True)

    assert (given.state, given.allows(105.0), given.begin(105.0)) == ("half_open", True, True)


def test_another_call_does_not_give_the_probes_place_away() -> None:
    """One from before the opening that ends without a word."""
    given = opened(100.0)
    given.begin(105.0)
    given.neutral(False)

    assert given.allows(106.0) is False


def test_a_lost_probe_does_not_keep_everybody_out_for_ever() -> None:
    """After a minute another may try."""
    given = opened(100.0)
    given.begin(105.0)
    assert given.allows(164.9) is False
    assert (given.allows(165.0), given.begin(165.0), given.allows(166.0)) == (True, True, False)


@pytest.mark.parametrize("state", ["open", "half_open"])
@pytest.mark.parametrize("end", ["success", "failure"])
def test_a_late_answer_decides_nothing(state: str, end: str) -> None:
    """Calls begun before the opening are no probes."""
    given = opened(100.0)
    if state == "half_open":
        given.begin(105.0)
    before = (given.state, given.open_until, given.changes)
    for _ in range(50):
        getattr(given, end)(106.0, False)

    assert (given.state, given.open_until, given.changes) == before


def test_a_late_answer_does_not_open_it_again_after_the_recovery() -> None:
    """Where the caller tells when the call began: timeouts last longer than openings."""
    given = opened(100.0)
    given.success(105.0, given.begin(105.0))
    for _ in range(50):
        given.failure(160.0, False, 99.0)
    assert given.state == "closed"
    for _ in range(2):
        given.failure(160.0, False, 106.0)
    given.success(160.0, False, 99.0)
    given.failure(160.0, False, 106.0)
    assert given.state == "open"


@pytest.mark.parametrize("end", ["success", "failure"])
def test_a_lost_probe_does_not_speak_for_a_later_one(end: str) -> None:
    """It answers when another has failed and a third is under way."""
    given = opened(100.0)
    lost = given.begin(105.0)
    given.failure(166.0, given.begin(165.0), 165.0)
    third = given.begin(given.open_until)
    getattr(given, end)(180.0, lost, 105.0)
    assert (third, given.state, given.allows(180.0)) == (True, "half_open", False)
    given.success(181.0, third, given.open_until)
    assert given.state == "closed"


def test_a_probe_that_ends_after_another_opening_decides_nothing() -> None:
    """Somebody else opened it while the probe was under way."""
    given = opened(100.0)
    probe = given.begin(105.0)
    given.opened(106.0, 150.0)
    given.success(107.0, probe)

    assert (given.state, given.open_until) == ("open", 150.0)


def test_after_recovery_its_share_grows_from_a_tenth() -> None:
    """In a straight line, until it has all."""
    given = opened(100.0)
    assert given.share(100.0) == 0.1
    given.success(105.0, given.begin(105.0))

    shares = [given.share(now) for now in (105.0, 110.0, 114.0, 115.0, 1e9)]
    assert shares == pytest.approx([0.1, 0.55, 0.91, 1.0, 1.0])
    assert breaker().share(0.0) == 1.0


def test_without_a_slow_start_the_share_is_whole_at_once() -> None:
    """Zero seconds turn it off."""
    given = opened(100.0, RULES._replace(slow_start_s=0.0))
    given.success(105.0, given.begin(105.0))
    assert given.share(105.0) == 1.0


def test_a_state_is_taken_from_elsewhere() -> None:
    """Another replica or an operator knows better; what is over changes nothing."""
    given = breaker()
    given.closed(1.0)
    given.opened(10.0, 10.0)
    assert (given.state, given.changes, given.share(10.0)) == ("closed", 0, 1.0)
    given.opened(10.0, 30.0)
    given.opened(11.0, 40.0)
    assert (given.state, given.open_until, given.changes) == ("open", 40.0, 1)
    given.closed(12.0)
    assert (given.state, given.changes, given.share(12.0)) == ("closed", 2, 0.1)


def test_a_failed_probe_continues_from_the_time_set_elsewhere() -> None:
    """Each replica goes on where the other was."""
    given = breaker()
    given.opened(0.0, 20.0)
    given.failure(20.0, given.begin(20.0))
    assert given.open_until == 60.0


def test_a_disabled_breaker_opens_only_by_hand() -> None:
    """Failures do nothing, an operator does."""
    given = breaker(RULES._replace(enabled=False))
    for _ in range(100):
        given.failure(1.0, given.begin(1.0))
    assert (given.state, given.allows(1.0), given.changes) == ("closed", True, 0)
    given.opened(1.0, 5.0)
    assert given.allows(2.0) is False
    given.success(5.0, given.begin(5.0))
    assert given.state == "closed"


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "success", "failure", "failure", "neutral", "opened", "closed"]),
        st.floats(0.0, 8.0),
        st.integers(0, 7),
    ),
    max_size=150,
)


@settings(deadline=None)
@given(EVENTS)
def test_whatever_happens_there_is_one_probe_and_no_call_while_open(
    events: list[tuple[str, float, int]],
) -> None:
    """And each change of state is counted."""
    given, now, calls, seen = breaker(), 0.0, list[tuple[bool, int]](), 0
    for name, pause_s, index in events:
        now += pause_s
        before, until = given.state, given.open_until
        if name == "begin":
            allowed = given.allows(now)
            probe = given.begin(now)
            assert allowed is (before != "open" or now >= until) or before == "half_open"
            assert probe is (allowed and before != "closed")
            assert not (probe and given.allows(now))
            calls.append((probe, given.changes))
        elif name == "opened":
            given.opened(now, now + index)
        elif name == "closed":
            given.closed(now)
        elif calls:
            probe, _ = calls.pop(index % len(calls))
            if name == "neutral":
                given.neutral(probe)
            else:
                getattr(given, name)(now, probe)
            if before == "open" or (before == "half_open" and not probe):
                assert (given.state, given.open_until) == (before, until)
        seen += given.state != before
        assert given.changes == seen
        assert 0 < given.share(now) <= 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=120))
def test_the_ratio_is_that_of_the_last_ten_buckets(calls: list[tuple[int, bool]]) -> None:
    """It opens at exactly the call that makes half of at least ten fail."""
    given = breaker(BreakerRules(failures=999, least=10, window_s=30.0))
    seen: list[tuple[int, bool]] = []
    now = 0
    for pause_s, failed in calls:
        now += pause_s
        seen.append((now // 3, failed))
        (given.failure if failed else given.success)(float(now), False)
        window = [bad for bucket, bad in seen if bucket > now // 3 - 10]
        broken = failed and len(window) >= 10 and sum(window) * 2 >= len(window)
        assert given.state == ("open" if broken else "closed")
        if broken:
            break
