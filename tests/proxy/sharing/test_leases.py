"""Who may try an open circuit: the machine, without a server."""

from __future__ import annotations

from proxy.breaker import Breaker
from proxy.sharing import leases
from proxy.sharing.leases import IDLE_S, LEAD_S, LEASE_S, MARGIN_S, Leases

MANY = 100


class Last:
    """A chance that always draws the highest."""

    def uniform(self, _: float, high: float) -> float:
        return high


def opened(until: float) -> Breaker:
    breaker = Breaker()
    breaker.opened(0.0, until)
    return breaker


def watching(until: float = 10.0) -> tuple[Leases, Breaker]:
    made, breaker = Leases(Last()), opened(until)
    made.watch("a", breaker)
    return made, breaker


def test_it_is_asked_for_shortly_before_the_rest_is_over() -> None:
    """So that nobody has to wait for the answer when it is."""
    made, _ = watching(10.0)
    assert made.pause_s(0.0) == 10.0 - LEAD_S
    assert made.due(10.0 - LEAD_S - 0.01, MANY) == []
    assert made.due(10.0 - LEAD_S, MANY) == ["a"]


def test_the_holder_may_try_when_the_rest_is_over() -> None:
    """The lease changes nothing for who has it."""
    made, breaker = watching(10.0)
    made.answered(["a"], [0.0], 9.6)
    assert not breaker.allows(9.9)
    assert breaker.begin(10.0)


def test_the_others_wait_for_the_result_or_the_end_of_the_lease() -> None:
    """And a little longer, to ask for the next."""
    made, breaker = watching(10.0)
    made.answered(["a"], [LEASE_S], 9.6)
    assert not breaker.allows(9.6 + LEASE_S)
    assert breaker.allows(9.6 + LEASE_S + MARGIN_S)
    assert made.due(9.6 + LEASE_S - 0.01, MANY) == []
    assert made.due(9.6 + LEASE_S + MARGIN_S / 2, MANY) == ["a"]


def test_a_probe_under_way_renews_the_lease() -> None:
    """An answer may take longer than a lease."""
    made, breaker = watching(10.0)
    made.answered(["a"], [0.0], 9.6)
    breaker.begin(10.0)
    assert made.due(9.6 + LEASE_S - LEAD_S, MANY) == ["a"]
    made.answered(["a"], [0.0], 12.2)
    assert made.due(12.3, MANY) == []


def test_who_has_no_calls_steps_back() -> None:
    """It asks after the others, and does not try meanwhile."""
    made, breaker = watching(10.0)
    made.answered(["a"], [0.0], 9.6)
    now = 9.6 + LEASE_S - LEAD_S
    assert made.due(now, MANY) == []
    assert not breaker.allows(now + LEAD_S)
    assert made.due(now + LEAD_S + MARGIN_S, MANY) == ["a"]


def test_what_is_closed_is_forgotten() -> None:
    """Nothing is asked for any more."""
    made, breaker = watching(10.0)
    breaker.closed(9.0)
    assert made.due(9.9, MANY) == []
    assert made.pause_s(9.9) is None


def test_what_nobody_wants_is_left_to_itself() -> None:
    """A client's misspelt model is not asked for until the end of days."""
    made, _ = watching(10.0)
    assert made.due(10.0 + IDLE_S + 1, MANY) == []
    assert len(made) == 0


def test_while_nobody_answers_a_rest_ends_by_itself() -> None:
    """No server, no lease: each process decides for itself."""
    made, breaker = watching(10.0)
    made.due(9.6, MANY)
    assert breaker.begin(10.0)


def test_the_doubling_of_rests_is_not_touched() -> None:
    """Waiting for another's lease is no failure."""
    made, breaker = watching(10.0)
    made.answered(["a"], [LEASE_S], 9.6)
    breaker.begin(20.0)
    breaker.failure(20.0, True)
    assert 15.0 < breaker.open_until - 20.0 <= 20.0  # twice the ten seconds, jittered


def test_only_so_many_are_watched(monkeypatch) -> None:
    """The names are clients'."""
    monkeypatch.setattr(leases, "MOST", 3)
    made = Leases(Last())
    for number in range(10):
        made.watch(f"{number}", opened(10.0))
    assert made.due(10.0, MANY) == ["7", "8", "9"]


def test_a_new_opening_begins_anew() -> None:
    """The old lease has ended with its result."""
    made, breaker = watching(10.0)
    made.answered(["a"], [0.0], 9.6)
    breaker.opened(10.0, 30.0)
    made.watch("a", breaker)
    assert made.pause_s(10.0) == 20.0 - LEAD_S
