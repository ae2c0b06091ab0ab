"""What is still to be told."""

from __future__ import annotations

from proxy.sharing import outbox
from proxy.sharing.facts import Message
from proxy.sharing.outbox import Outbox


async def test_the_latest_of_a_name_is_told_once() -> None:
    """What it is worth is read when its turn comes."""
    box, values = Outbox("me"), [1]
    box.put("a", lambda _: values[0])
    box.put("a", lambda _: values[0])
    values[0] = 2
    assert box.batch(0.0, 10) == [Message("me", 1, "a", 2)]
    assert box.batch(0.0, 10) == []


async def test_what_has_come_back_is_settled() -> None:
    """Until then others' word on it is older than ours."""
    box = Outbox("me")
    box.put("a", lambda _: 5)
    [message] = box.batch(0.0, 10)
    assert box.holds("a")
    assert not box.settles(Message("other", message.number, "a", 5))
    assert box.holds("a")
    assert box.settles(message)
    assert not box.holds("a")


async def test_an_echo_of_an_older_word_settles_nothing() -> None:
    """The newer one is still on its way."""
    box = Outbox("me")
    box.put("a", lambda _: 5)
    [first] = box.batch(0.0, 10)
    box.put("a", lambda _: 6)
    [second] = box.batch(0.0, 10)
    assert box.settles(first)
    assert box.holds("a")
    assert box.settles(second)
    assert not box.holds("a")


async def test_after_a_break_all_that_is_not_settled_is_told_again() -> None:
    """Nobody knows whether it arrived, and telling twice does no harm."""
    box = Outbox("me")
    box.put("a", lambda _: 5)
    box.batch(0.0, 10)
    box.again()
    assert [m.name for m in box.batch(0.0, 10)] == ["a"]


async def test_what_is_no_longer_so_is_not_told() -> None:
    """A rest may be over before its turn comes."""
    box = Outbox("me")
    box.put("a", lambda _: None)
    assert box.batch(0.0, 10) == []
    assert not box.holds("a")


async def test_only_so_many_wait(monkeypatch) -> None:
    """A server that is away for a day costs no memory."""
    monkeypatch.setattr(outbox, "MOST", 3)
    box = Outbox("me")
    for number in range(10):
        box.put(f"{number}", lambda _: 1)
    assert [m.name for m in box.batch(0.0, 2)] == ["7", "8"]
    assert [m.name for m in box.batch(0.0, 2)] == ["9"]
