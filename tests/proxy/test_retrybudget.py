"""How many repeated attempts a provider may get."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.retrybudget import RepeatBudget


def test_a_quiet_provider_gets_its_first_repeats() -> None:
    """Three, before any attempt has earned one."""
    budget = RepeatBudget()
    assert [budget.take() for _ in range(5)] == [True, True, True, False, False]


def test_ten_attempts_earn_a_repeat() -> None:
    """The first is due after the reserve is spent and ten more were made."""
    budget = RepeatBudget()
    while budget.take():
        pass
    budget.earn(9)
    assert budget.take() is False
    budget.earn(2)
    assert budget.take() is True


def test_what_was_not_sent_is_taken_back() -> None:
    """But never more than there is."""
    budget = RepeatBudget()
    budget.earn(-1000)
    assert budget.take() is False
    budget.earn(11)
    assert budget.take() is True


def test_a_million_good_calls_do_not_pay_for_a_storm() -> None:
    """No more than a hundred repeats are saved up."""
    budget = RepeatBudget()
    budget.earn(1_000_000)
    assert sum(budget.take() for _ in range(1000)) == 100


@given(st.lists(st.booleans(), max_size=500))
def test_repeats_are_a_tenth_of_the_load_at_most(course: list[bool]) -> None:
    """And the reserve, in whichever order they come."""
    budget, attempts, repeats = RepeatBudget(), 0, 0
    for repeat in course:
        if repeat:
            repeats += budget.take()
        else:
            budget.earn()
            attempts += 1
        assert repeats <= 3 + attempts / 10 + 1e-9
