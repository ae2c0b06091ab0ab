"""Durations, sizes and money."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_money,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1d", 86400),
        ("0.5s", 0.5),
        ("10us", 0.00001),
        ("7", 7),
        (7, 7),
        (0.5, 0.5),
        (0, 0),
    ],
)
def test_a_duration_is_seconds(text: str | float, seconds: float) -> None:
    """A unit scales, a bare number is seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "5 m", "5x", "-1s", "1,5s", "5S", "1e3", True, -1, float("nan"), "9" * 100]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str | float) -> None:
    """The sentence says what would be one."""
    with pytest.raises(ValueError, match=r"is not a duration such as 250ms, 30s or 5m$"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64KiB", 65536),
        ("32MiB", 33554432),
        ("10MB", 10_000_000),
        ("1GiB", 2**30),
        ("2TiB", 2**41),
        ("1.5KiB", 1536),
        ("5kB", 5000),
        ("7B", 7),
        ("7", 7),
        (7, 7),
    ],
)
def test_a_size_is_bytes(text: str | float, size: int) -> None:
    """Binary and decimal units are told apart, a bare number is bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "5Mb", "5k", "-5", "5 Mi B", "0.3", True, 1.5])
def test_what_is_no_size_is_refused(text: str | float) -> None:
    """Nobody has to guess what 5k is."""
    with pytest.raises(ValueError, match="is not a size such as"):
        parse_size(text)


def test_half_a_byte_is_refused() -> None:
    """A fraction is fine as long as whole bytes come out."""
    with pytest.raises(ValueError, match=r'"0\.3KiB" is no whole number of bytes'):
        parse_size("0.3KiB")


@pytest.mark.parametrize(
    ("text", "micros"), [("$12.50", 12_500_000), ("3", 3_000_000), (0.1, 100_000), ("$0.000001", 1)]
)
def test_money_is_millionths_of_a_dollar(text: str | float, micros: int) -> None:
    """The dollar sign may be left out."""
    assert parse_money(text) == micros


@pytest.mark.parametrize("text", ["12.50$", "€3", "-1", "$", "$0.0000001"])
def test_what_is_no_money_is_refused(text: str) -> None:
    """Nor is anything rounded away."""
    with pytest.raises(ValueError, match=r"is not an amount|is finer than"):
        parse_money(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_every_duration_is_read_as_it_was_written(micros: int) -> None:
    """Whatever the unit it is written with."""
    seconds = micros / 1_000_000
    assert parse_duration(format_duration(seconds)) == seconds
    assert parse_duration(seconds) == seconds


@given(st.integers(min_value=0, max_value=2**60))
def test_every_size_is_read_as_it_was_written(size: int) -> None:
    """Whatever the unit it is written with."""
    assert parse_size(format_size(size)) == size


@given(st.text(max_size=20))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    """Nothing but ValueError comes out of a parser."""
    for parse in (parse_duration, parse_size, parse_money):
        try:
            assert parse(text) >= 0
        except ValueError as error:
            assert "\n" not in str(error)  # noqa: PT017  # both outcomes are right


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.25, "250ms"), (30.0, "30s"), (600, "10m"), (0, "0s"), (5400, "90m")]
)
def test_a_duration_is_written_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    """As somebody would write it."""
    assert format_duration(seconds) == text
