"""OpenAI's realtime conversation in text: events in, events out, no socket.

Source: https://platform.openai.com/docs/api-reference/realtime (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from proxy.sim.behaviour import Behaviour
from proxy.sim.chat import text_of
from proxy.sim.script import Step
from proxy.sim.turn import Prompt, Said, count, speak

Event = dict[str, Any]


class Conversation:
    """One session; remembers the last thing its user said.

    Args:
        id: of the session; ids inside it are counted from it.
    """

    def __init__(self, id: str, model: str, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._id = id
        self._ids = 0
        self._said = ""
        self._session: Event = {
            "id": f"sess_{id}",
            "object": "realtime.session",
            "type": "realtime",
            "model": model,
            "output_modalities": ["text"],
        }

    def open(self) -> list[Step]:
        """Return what is sent to a client that has just come."""
        return [self._step({"type": "session.created", "session": self._session})]

    def feed(self, message: bytes) -> list[Step]:
        """Take one event of the client and return the events that answer it."""
        try:
            event = msgspec.json.decode(message, type=dict[str, Any])
            kind = event.get("type")
        except msgspec.MsgspecError:
            return [self._error("the event is not a JSON object")]
        if kind == "session.update":
            if isinstance(event.get("session"), dict):
                self._session.update(event["session"])
            return [self._step({"type": "session.updated", "session": self._session})]
        if kind == "conversation.item.create":
            return self._create_item(event)
        if kind == "response.create":
            return list(self._respond())
        return [self._error(f"the simulator does not know the event {kind!r}")]

    def _create_item(self, event: Event) -> list[Step]:
        item = event.get("item")
        if not isinstance(item, dict):
            return [self._error("'item' is missing")]
        item = {"id": self._next("item"), "object": "realtime.item", **item}
        if item.get("role") == "user":
            self._said = text_of(item.get("content"))
        shared = {"previous_item_id": None, "item": item}
        return [
            self._step({"type": f"conversation.item.{what}", **shared})
            for what in ("added", "done")
        ]

    def _respond(self) -> Iterator[Step]:
        said = speak(Prompt(self._said), self._behaviour)
        response: Event = {
            "id": self._next("resp"),
            "object": "realtime.response",
            "status": "in_progress",
            "output": [],
            "usage": None,
        }
        item: Event = {"id": self._next("item"), "type": "message", "role": "assistant"}
        place = {"response_id": response["id"], "output_index": 0}
        part = {**place, "item_id": item["id"], "content_index": 0}
        begun = {**item, "status": "in_progress", "content": []}
        done = {
            **item,
            "status": "completed",
            "content": [{"type": "output_text", "text": said.text}],
        }
        yield self._step({"type": "response.created", "response": response})
        yield self._step({"type": "response.output_item.added", **place, "item": begun})
        waits = self._behaviour
        for index, piece in enumerate(said.pieces):
            delta = {"type": "response.output_text.delta", **part, "delta": piece}
            yield self._step(delta, waits.pace_s if index else waits.latency_s + waits.first_s)
        yield self._step({"type": "response.output_text.done", **part, "text": said.text})
        yield self._step({"type": "response.output_item.done", **place, "item": done})
        ended = {**response, "status": "completed", "output": [done], "usage": self._usage(said)}
        yield self._step({"type": "response.done", "response": ended})

    def _usage(self, said: Said) -> Event:
        tokens = count(self._said)
        return {
            "input_tokens": tokens,
            "output_tokens": said.tokens,
            "total_tokens": tokens + said.tokens,
        }

    def _next(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._id}{self._ids}"

    def _error(self, message: str) -> Step:
        error = {"type": "invalid_request_error", "code": None, "message": message, "param": None}
        return self._step({"type": "error", "error": error})

    def _step(self, event: Event, wait_s: float = 0.0) -> Step:
        return Step(wait_s, msgspec.json.encode({"event_id": self._next("event"), **event}))
