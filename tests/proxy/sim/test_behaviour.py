"""Reading a behaviour from a name and from options."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sim.behaviour import KEYS, Behaviour, Limit, duration, from_name, from_options


def test_a_name_sets_what_it_says() -> None:
    """Every `key=value` behind the colon is read in its own unit."""
    found = from_name("sim:latency=200ms,jitter=.05s,chunks=20,pace=10ms,fault=reset", Behaviour())
    assert (found.latency_s, found.jitter_s, found.pace_s) == (0.2, 0.05, 0.01)
    assert (found.chunks, found.fault) == (20, ("reset",))


def test_the_name_wins_over_the_options() -> None:
    """What is nearer to the request wins; the rest stays as configured."""
    base = from_options({"latency": "1s", "tokens": 7})
    found = from_name("m:latency=0", base)
    assert (found.latency_s, found.tokens) == (0, 7)


@pytest.mark.parametrize("name", ["sim", "llama3:8b", "ft:gpt:acme:2", "a=b", "org/name", ""])
def test_an_ordinary_name_changes_nothing(name: str) -> None:
    """A colon without `key=` behind it belongs to the name."""
    base = Behaviour(tokens=3)
    assert from_name(name, base) == base


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sim:latancy=1s", ["unknown key `latancy`", "did you mean `latency`", "chunks"]),
        ("sim:latency=1", ["latency=1", "200ms"]),
        ("sim:latency=2000m", ["an hour"]),
        ("sim:chunks=-1", ["a whole number from 1"]),
        ("sim:chunks=1e9", ["a whole number"]),
        ("sim:fault=oops", ["status-NNN", "reset", "hang"]),
        ("sim:fault=status-0", ["status-NNN"]),
        ("sim:rate=2", ["0 to 1"]),
        ("sim:limit=5", ["5/10s"]),
        ("sim:limit=0/1s", ["5/10s"]),
        ("sim:text=shout", ["reply, echo, lorem"]),
        ("sim:chunks=100000,bytes=100000", ["times"]),
        ("sim:hang", ["key=value"]),
        ("sim:chunks=1,,", ["key=value"]),
        ("x:=1", ["unknown key"]),
    ],
)
def test_a_slip_is_told_with_what_is_allowed(name: str, words: list[str]) -> None:
    """An unknown key or a wrong value names itself and the allowed ones."""
    with pytest.raises(ValueError, match=r".") as caught:
        from_name(name, Behaviour())
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_place_to_cut_at_is_a_cut() -> None:
    """`cut=5` needs no `fault=cut` beside it, and joins other faults."""
    assert from_name("m:cut=5", Behaviour()).fault == ("cut",)
    assert from_name("m:cut_clean=5,fault=crlf", Behaviour()).fault == ("crlf", "cut-clean")
    assert from_name("m:cut=5,fault=reset-body", Behaviour()).fault == ("reset-body",)


def test_options_may_be_numbers() -> None:
    """A configuration file gives numbers where a name gives text."""
    found = from_options({"chunks": 3, "rate": 0.5, "limit": "2/10s"})
    assert (found.chunks, found.rate, found.limit) == (3, 0.5, Limit(2, 10.0))


def test_every_key_sets_an_attribute_that_exists() -> None:
    """The table of keys and the struct agree."""
    assert {attribute for attribute, _ in KEYS.values()} == set(Behaviour.__struct_fields__)


def test_only_an_undisturbed_behaviour_is_plain() -> None:
    """Whatever needs time or goes wrong must not come from memory."""
    assert Behaviour(chunks=3, text="echo").plain
    for name in ("latency=1ms", "jitter=1ms", "first=1ms", "pace=1ms", "fault=any", "limit=1/1s"):
        assert not from_name(f"m:{name}", Behaviour()).plain


def test_durations() -> None:
    """Milliseconds, seconds and minutes; zero needs no unit."""
    assert [duration(text) for text in ("5ms", "1.5s", "2m", "0")] == [0.005, 1.5, 120, 0]


@given(st.text())
def test_any_name_is_read_or_refused(name: str) -> None:
    """No name leads to anything but a behaviour or a ValueError."""
    with contextlib.suppress(ValueError):
        assert isinstance(from_name(f"sim:{name}", Behaviour()), Behaviour)
