"""When leaving a warm cache pays."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.deployments import Price
from proxy.routing._leaving import Leave, Outlook, read_leave, saved_s, stays

DEAR = Price(2_500_000, 10_000_000, 250_000)  # dollars 2.50, 10 and 0.25 for a million tokens
CHEAP = Price(100_000, 400_000, 100_000)
IDLE = Outlook(0.5, 0.0, 1.0)


@pytest.mark.parametrize(
    ("here", "there", "saved", "spare", "expected"),
    [
        # alike: no reason to leave
        (IDLE, IDLE, 0.0, 2.0, True),
        # the first token comes later here, by less or more than staying is worth
        (Outlook(1.5, 0, 1), IDLE, 1.1, 2.0, True),
        (Outlook(1.5, 0, 1), IDLE, 0.9, 2.0, False),
        # a wait for a worker is time as well, on both sides
        (Outlook(0.5, 3, 1), IDLE, 2.0, 2.0, False),
        (Outlook(0.5, 3, 1), Outlook(0.5, 2, 1), 2.0, 2.0, True),
        # twice the load is none; four times is taken to take twice as long
        (Outlook(0.5, 0, 2), IDLE, 0.25, 2.0, True),
        (Outlook(0.5, 0, 4), IDLE, 0.25, 2.0, False),
        (Outlook(0.5, 0, 4), IDLE, 0.75, 2.0, True),
        (Outlook(0.5, 0, 4), IDLE, 0.25, 4.0, True),
        # what nobody has measured is taken for as fast as the other
        (Outlook(9, 0, 1), Outlook(0, 0, 1), 0.25, 2.0, True),
        (Outlook(0, 0, 1), Outlook(9, 0, 1), 0.25, 2.0, True),
        (Outlook(0, 0, 1), Outlook(0, 0, 1), 0.25, 2.0, True),
        (Outlook(0, 0, 9), Outlook(0, 0, 1), 0.25, 2.0, False),
    ],
)
def test_whether_a_conversation_stays(
    here: Outlook, there: Outlook, saved: float, spare: float, expected: bool
) -> None:
    """Seconds lost here against seconds saved."""
    assert stays(here, there, saved, spare) is expected


@pytest.mark.parametrize(
    ("tokens", "here", "there", "worth_s"),
    [
        # nothing in the cache: only the least difference
        (0, DEAR, DEAR, 0.25),
        # too short for a vendor's cache: only the reading
        (1_000, DEAR, DEAR, 0.25 + 0.1),
        # 2.25 dollars a million are 2.25 cents, at a cent a second; and a second of reading
        (10_000, DEAR, DEAR, 0.25 + 1 + 2.25),
        # where the other's price is unknown it is taken to be the same
        (10_000, DEAR, None, 0.25 + 1 + 2.25),
        # the other one's fresh tokens cost less than the cached ones here
        (10_000, DEAR, CHEAP, 0.25 + 1),
        (10_000, CHEAP, DEAR, 0.25 + 1 + 2.4),
        # no price, no money
        (10_000, None, DEAR, 0.25 + 1),
    ],
)
def test_what_staying_is_worth(
    tokens: int, here: Price | None, there: Price | None, worth_s: float
) -> None:
    """Money and time of a prompt that is read anew."""
    assert saved_s(tokens, here, there, Leave()) == pytest.approx(worth_s)


def test_seconds_are_worth_what_the_user_says() -> None:
    """Who is in no hurry saves the money."""
    patient = read_leave({"dollars_per_second": "$0.001", "least": "1s"})
    assert patient is not None

    assert saved_s(10_000, DEAR, DEAR, patient) == pytest.approx(1 + 1 + 22.5)


def test_nothing_said_is_the_default() -> None:
    """And `never` is a word of its own."""
    assert read_leave(None) == read_leave({}) == Leave()
    assert read_leave("never") is None
    assert read_leave({"load": 3, "tokens_per_second": 5000}) == Leave(
        load=3, tokens_per_second=5000
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("always", "leave takes `never` or options"),
        (True, "leave takes `never` or options"),
        ({"dollars": 1}, "leave has no option dollars; it has dollars_per_second"),
        ({"dollars_per_second": "much"}, "leave: dollars_per_second: .*is not an amount"),
        ({"dollars_per_second": 0}, "leave: dollars_per_second: 0 is too little"),
        ({"load": 0.5}, "leave: load: 0.5 is too little"),
        ({"load": "x"}, "leave: load: "),
        ({"load": None}, "leave: load: "),
        ({"tokens_per_second": -1}, "leave: tokens_per_second: -1 is too little"),
        ({"least": "soon"}, "leave: least: .*is not a duration"),
    ],
)
def test_a_wrong_option_is_told(options: Any, said: str) -> None:
    """In a sentence for whoever wrote it."""
    with pytest.raises((TypeError, ValueError), match=said):
        read_leave(options)
