"""A conversation without a socket."""

import json
from typing import Any

from proxy.sim.behaviour import Behaviour
from proxy.sim.realtime import Conversation
from proxy.sim.script import Step


def events(steps: list[Step]) -> list[Any]:
    return [json.loads(step.body) for step in steps]


def feed(conversation: Conversation, event: Any) -> list[Any]:
    return events(conversation.feed(json.dumps(event).encode()))


def test_a_turn() -> None:
    """A session opens, a message is taken, an answer comes in deltas."""
    conversation = Conversation("1", "sim", Behaviour(chunks=3))
    assert events(conversation.open())[0]["type"] == "session.created"
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    added = feed(conversation, {"type": "conversation.item.create", "item": item})
    assert [event["type"] for event in added] == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    answer = feed(conversation, {"type": "response.create"})
    deltas = [e["delta"] for e in answer if e["type"] == "response.output_text.delta"]
    assert len(deltas) == 3
    assert "".join(deltas).startswith("You said: hi")
    assert answer[-1]["type"] == "response.done"
    assert answer[-1]["response"]["output"][0]["content"][0]["text"] == "".join(deltas)
    assert len({event["event_id"] for event in answer}) == len(answer)


def test_the_session_can_be_changed() -> None:
    """What the client sets is in the session it gets back."""
    conversation = Conversation("1", "sim", Behaviour())
    found = feed(conversation, {"type": "session.update", "session": {"instructions": "x"}})
    assert found[0]["session"]["instructions"] == "x"


def test_deltas_are_paced() -> None:
    """The first waits for the latency, the others for their pace."""
    behaviour = Behaviour(chunks=3, latency_s=2, first_s=1, pace_s=0.5)
    steps = Conversation("1", "sim", behaviour).feed(b'{"type":"response.create"}')
    assert [step.wait_s for step in steps if step.wait_s] == [3, 0.5, 0.5]


def test_what_is_not_understood_is_an_error_event() -> None:
    """No JSON, no object, no known type, no item."""
    conversation = Conversation("1", "sim", Behaviour())
    for message in (b"{", b"[]", b"\xff", b"{}", b'{"type":"conversation.item.create"}'):
        assert events(conversation.feed(message))[0]["type"] == "error"
