"""What is remembered for clients: for whom, how much and how long."""

from __future__ import annotations

import random

from proxy.vault import MAX_VALUE_BYTES, Vault


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_memory_comes_back_by_its_id() -> None:
    """As often as it is asked for: a client may repeat its turn."""
    vault = Vault()
    vault.keep("t", {"call_1": b"signed", "call_2": b"other"})
    recall = vault.recall("t")
    assert [recall("call_1"), recall("call_1"), recall("call_2")] == [
        b"signed",
        b"signed",
        b"other",
    ]
    assert recall("call_3") is None


def test_nobody_else_has_it_back() -> None:
    """Not with the same id, and not by putting the border elsewhere."""
    vault = Vault()
    vault.keep("tenant", {"call_1": b"mine"})
    for other in ("", "Tenant", "tenant2", "tenantcall_1"):
        assert vault.recall(other)("call_1") is None
    vault.keep("other", {"call_1": b"theirs"})
    vault.keep("a", {"bc": b"1"})
    vault.keep("ab", {"c": b"2"})
    assert vault.recall("tenant")("call_1") == b"mine"
    assert vault.recall("a")("bc") == b"1"


def test_it_is_forgotten_when_it_was_not_used_for_long() -> None:
    """A conversation that goes on keeps what it needs."""
    clock = Clock()
    vault = Vault(ttl_s=10.0, clock=clock)
    vault.keep("t", {"used": b"1", "idle": b"2"})
    clock.now = 9.0
    assert vault.recall("t")("used") == b"1"
    clock.now = 10.0
    assert vault.recall("t")("idle") is None
    clock.now = 18.9
    assert vault.recall("t")("used") == b"1"
    clock.now = 28.9
    assert vault.recall("t")("used") is None
    assert (len(vault), vault.bytes) == (0, 0)


def test_what_is_too_old_goes_although_nobody_asks() -> None:
    """Nothing of a client stays longer than was said."""
    clock = Clock()
    vault = Vault(ttl_s=10.0, clock=clock)
    for number in range(100):
        vault.keep("t", {f"call_{number}": b"x"})
    clock.now = 10.0
    vault.keep("t", {"new": b"x"})
    assert len(vault) == 1


def test_it_is_bounded_by_bytes_and_by_number() -> None:
    """What was not used the longest goes first."""
    vault = Vault(10_000)
    vault.keep("t", {"first": b"x"})
    for number in range(100):
        vault.keep("t", {f"call_{number}": b"x" * 1000})
        assert vault.recall("t")("first") == b"x"
        assert vault.bytes <= 10_000
    assert vault.recall("t")("call_99") is not None
    assert vault.recall("t")("call_90") is None
    few = Vault(max_entries=3)
    few.keep("t", {str(number): b"x" for number in range(10)})
    assert len(few) == 3


def test_a_long_memory_is_refused() -> None:
    """And what stood there before is not taken for it."""
    vault = Vault()
    vault.keep("t", {"call": b"old", "most": b"x" * MAX_VALUE_BYTES})
    vault.keep("t", {"call": b"x" * (MAX_VALUE_BYTES + 1)})
    assert vault.recall("t")("call") is None
    assert vault.recall("t")("most") is not None


def test_its_bytes_are_the_sum_of_what_is_in_it() -> None:
    """Whatever was kept, replaced, recalled and forgotten before."""
    clock, chance = Clock(), random.Random(7)
    vault = Vault(50_000, 30.0, max_entries=40, clock=clock)
    for _ in range(3000):
        tenant, call = chance.choice("abc"), str(chance.randrange(60))
        clock.now += chance.random()
        if chance.random() < 0.5:
            vault.keep(tenant, {call: b"x" * chance.randrange(3000)})
        else:
            vault.recall(tenant)(call)
        assert vault.bytes <= 50_000
        assert len(vault) <= 40
    clock.now += 30.0
    vault.keep("t", {})
    assert (len(vault), vault.bytes) == (0, 0)
