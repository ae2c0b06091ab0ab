"""When a vendor's limits are open again."""

from __future__ import annotations

import pytest

from proxy.failures import VendorError, upstream_error
from proxy.resets import OPENAI, Limit, reset_s

NOW = 1_800_000_000.0
REQUESTS, TOKENS = "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("59.7", 59.7),
        ("0", 0),
        (str(int(NOW) + 30), 30),
        (str(int(NOW + 30) * 1000), 30),
        ("2027-01-15T08:00:30Z", 30),
        ("2027-01-15T08:00:30+00:00", 30),
        ("2001-01-01T00:00:00Z", 0),
        ("soon", None),
        ("", None),
        ("-3", None),
        ("9" * 40, None),
        ("1s2", None),
    ],
)
def test_a_reset_is_read_however_it_is_written(value: str, expected: float | None) -> None:
    """Vendors write durations, seconds, Unix times and dates; nonsense says nothing."""
    found = reset_s([(REQUESTS, value)], OPENAI, NOW)

    assert found == (expected if expected is None else pytest.approx(expected, abs=0.01))


def test_what_is_spent_decides() -> None:
    """The tokens' reset does not matter while only the requests are used up."""
    headers = [(REQUESTS, "10s"), (TOKENS, "3s")]

    assert reset_s(headers, OPENAI, NOW) == 3
    assert reset_s([*headers, ("x-ratelimit-remaining-requests", "0")], OPENAI, NOW) == 10
    spent = [(f"x-ratelimit-remaining-{kind}", "0") for kind in ("requests", "tokens")]
    assert reset_s([*headers, *spent], OPENAI, NOW) == 10


def test_other_names_are_read_the_same_way() -> None:
    """Those that a vendor's adapter knows."""
    limits = (Limit("acme-left", "acme-reset"),)

    assert reset_s([("acme-reset", "5s"), (REQUESTS, "1s")], limits, NOW) == 5


def test_it_is_asked_only_where_a_429_has_no_word_of_its_own() -> None:
    """`retry-after` is what the vendor wants; a good answer's headers are no reason to wait."""
    headers = [(REQUESTS, "7s")]

    assert upstream_error(429, VendorError("x"), headers).retry_after_s == 7
    assert (
        upstream_error(429, VendorError("x"), [*headers, ("retry-after", "2")]).retry_after_s == 2
    )
    assert upstream_error(500, VendorError("x"), headers).retry_after_s is None
