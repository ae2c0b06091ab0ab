"""How an answer is sent: a list of pauses and bytes, written before the first is sent.

A format gives an `Answer`. Faults of content change the answer, `perform` makes a `Script` of
it, faults of transport change the script. Nothing here waits or writes; `server` plays it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal, NamedTuple

import msgspec

from proxy.sim.behaviour import Behaviour

EVENT_STREAM = "text/event-stream; charset=utf-8"
GARBAGE = b"\x15\x03\x01\x00\x02\x02\x46 this is no HTTP\r\n\r\n"
PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>sim</body>\r\n</html>\r\n"
_EXCESS_BYTES = 100
_SPREAD = 0.5

Ending = Literal["keep", "close", "reset", "hang"]


class Answer(msgspec.Struct, kw_only=True):
    """What a format answers, whole or as a stream.

    Attributes:
        body: the whole answer; unused where there are events.
        events: the stream's blocks, blank lines included; None: not a stream.
        lead: events before the first content.
        content: events that carry content.
        end: the block that ends a stream.
        failure: an error as this format reports it inside a 200.
        headers: further ones, names in lower case.
        behaviour: what the model's name asked for.
        model: the name it was asked under.
        prompt_tokens: of the request.
        repeatable: whether the same request gets the same answer.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    events: list[bytes] | None = None
    lead: int = 0
    content: int = 0
    end: bytes = b""
    failure: bytes = b""
    headers: list[tuple[str, str]] = []
    behaviour: Behaviour = Behaviour()
    model: str = ""
    prompt_tokens: int = 0
    repeatable: bool = False


class Step(NamedTuple):
    """A pause in seconds, then bytes of the body."""

    wait_s: float
    body: bytes


class Script(msgspec.Struct, kw_only=True):
    """All that happens on the connection for one answer.

    Attributes:
        latency_s: seconds before the head.
        steps: the body.
        length: the `content-length`; None: none is sent.
        chunked: whether the body is sent in HTTP's chunks.
        head_pace_s: seconds between the bytes of the head; 0: all at once.
        raw: sent in place of head and body; None: HTTP is spoken.
        ending: what becomes of the connection.
    """

    status: int
    content_type: str
    headers: list[tuple[str, str]]
    steps: list[Step]
    latency_s: float = 0.0
    length: int | None = None
    chunked: bool = False
    head_pace_s: float = 0.0
    raw: bytes | None = None
    ending: Ending = "keep"


def perform(
    answer: Answer, behaviour: Behaviour, faults: Collection[str], dice: random.Random
) -> Script:
    """Write the script of one answer with everything that is to go wrong in it."""
    for name, change in _CHANGES.items():
        if name in faults:
            answer = change(answer, behaviour)
    script = _script(answer, behaviour)
    script.latency_s = _latency(behaviour, dice)
    for name, disturb in _DISTURBANCES.items():
        if name in faults:
            disturb(script, behaviour, _place(answer, behaviour))
    return script


def _script(answer: Answer, behaviour: Behaviour) -> Script:
    script = Script(
        status=answer.status,
        content_type=answer.content_type,
        headers=answer.headers,
        steps=[Step(0.0, answer.body)],
    )
    if answer.events is None:
        script.length = len(answer.body)
        return script
    script.chunked = True
    script.content_type = EVENT_STREAM
    first, last = answer.lead, answer.lead + answer.content
    script.steps = [
        Step(behaviour.first_s if index == first else behaviour.pace_s, event)
        if first <= index < last
        else Step(0.0, event)
        for index, event in enumerate(answer.events)
    ]
    if answer.end:
        script.steps.append(Step(0.0, answer.end))
    return script


def _latency(behaviour: Behaviour, dice: random.Random) -> float:
    mean, jitter = behaviour.latency_s, behaviour.jitter_s
    if not (mean or jitter) or behaviour.distribution == "fixed":
        return mean
    if behaviour.distribution == "uniform":
        return max(0.0, mean + dice.uniform(-jitter, jitter))
    if not mean:
        return 0.0
    if behaviour.distribution == "exponential":
        return dice.expovariate(1 / mean)
    return dice.lognormvariate(math.log(mean), jitter / mean or _SPREAD)


def _place(answer: Answer, behaviour: Behaviour) -> int:
    """Return the event before which a fault happens."""
    events = answer.events or []
    if behaviour.at < 0:
        return len(events) // 2
    return min(answer.lead + behaviour.at, len(events))


# Faults of content: answer to answer.


def _replaced(answer: Answer, **changes: Any) -> Answer:
    return msgspec.structs.replace(answer, **changes)


def _bad_json(answer: Answer, behaviour: Behaviour) -> Answer:
    return _replaced(answer, events=None, body=b'{"answer":"this is no JSON')


def _html(answer: Answer, behaviour: Behaviour) -> Answer:
    return _replaced(answer, events=None, status=502, content_type="text/html", body=PAGE)


def _empty(answer: Answer, behaviour: Behaviour) -> Answer:
    return _replaced(answer, events=None if answer.events is None else [], end=b"", body=b"")


def _error_200(answer: Answer, behaviour: Behaviour) -> Answer:
    if answer.events is None:
        return _replaced(answer, body=answer.failure)
    events = [*answer.events[: _place(answer, behaviour)], answer.failure]
    return _replaced(answer, events=events, end=b"")


def _malformed(answer: Answer, behaviour: Behaviour) -> Answer:
    if not answer.events:
        return _replaced(answer, body=answer.body[: len(answer.body) // 2])
    events = list(answer.events)
    place = min(_place(answer, behaviour), len(events) - 1)
    events[place] = events[place].rstrip()[:-2] + b"\n\n"
    return _replaced(answer, events=events)


def _no_done(answer: Answer, behaviour: Behaviour) -> Answer:
    return _replaced(answer, end=b"")


def _no_usage(answer: Answer, behaviour: Behaviour) -> Answer:
    if answer.events is None:
        return _replaced(answer, body=_without_usage(answer.body))
    events = [_event_without_usage(event) for event in answer.events]
    end = _event_without_usage(answer.end)
    return _replaced(answer, events=list(filter(None, events)), end=end)


def _event_without_usage(event: bytes) -> bytes:
    """Take usage out of one event; an event that was nothing else becomes empty."""
    if b'"usage"' not in event or b'"choices":[],' in event:
        return b"" if b'"usage"' in event else event
    head, data, rest = event.partition(b"data: ")
    return head + data + _without_usage(rest.strip()) + b"\n\n"


def _without_usage(text: bytes) -> bytes:
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    for place in (document, document.get("response") if isinstance(document, dict) else None):
        if isinstance(place, dict):
            place.pop("usage", None)
    return msgspec.json.encode(document)


def _comments(answer: Answer, behaviour: Behaviour) -> Answer:
    if answer.events is None:
        return answer
    return _replaced(answer, events=[b": SIM PROCESSING\n\n" + event for event in answer.events])


def _crlf(answer: Answer, behaviour: Behaviour) -> Answer:
    if answer.events is None:
        return answer
    events = [event.replace(b"\n", b"\r\n") for event in answer.events]
    return _replaced(answer, events=events, end=answer.end.replace(b"\n", b"\r\n"))


_CHANGES: dict[str, Callable[[Answer, Behaviour], Answer]] = {
    "no-usage": _no_usage,
    "error-200": _error_200,
    "malformed": _malformed,
    "no-done": _no_done,
    "comments": _comments,
    "crlf": _crlf,
    "empty": _empty,
    "bad-json": _bad_json,
    "html": _html,
}


# Faults of transport: they change the script in place.


def _size(steps: Iterable[Step]) -> int:
    return sum(len(step.body) for step in steps)


def _shorten(script: Script, wanted: int) -> None:
    """Keep the first bytes of the body: half of them if `wanted` is -1, never all."""
    size = _size(script.steps)
    left = max(0, min(size // 2 if wanted < 0 else wanted, size - 1))
    kept = []
    for step in script.steps:
        kept.append(Step(step.wait_s, step.body[:left]))
        left -= len(kept[-1].body)
        if not left:
            break
    script.steps = kept


def _cut(script: Script, behaviour: Behaviour, place: int) -> None:
    _shorten(script, behaviour.cut)
    script.ending = "reset"


def _cut_clean(script: Script, behaviour: Behaviour, place: int) -> None:
    _shorten(script, behaviour.cut_clean)
    if not script.chunked:
        script.length, script.ending = None, "close"


def _hang_body(script: Script, behaviour: Behaviour, place: int) -> None:
    if script.chunked:
        script.steps = script.steps[:place]
    else:
        _shorten(script, -1)
    script.ending = "hang"


def _wrong_length(script: Script, behaviour: Behaviour, place: int) -> None:
    script.chunked, script.ending = False, "close"
    script.length = _size(script.steps) + _EXCESS_BYTES


def _slow_head(script: Script, behaviour: Behaviour, place: int) -> None:
    script.head_pace_s = behaviour.slow_s


def _reset(script: Script, behaviour: Behaviour, place: int) -> None:
    script.raw, script.ending = b"", "reset"


def _hang(script: Script, behaviour: Behaviour, place: int) -> None:
    script.raw, script.ending = b"", "hang"


def _garbage(script: Script, behaviour: Behaviour, place: int) -> None:
    script.raw, script.ending = GARBAGE, "close"


_DISTURBANCES: dict[str, Callable[[Script, Behaviour, int], None]] = {
    "slow-head": _slow_head,
    "wrong-length": _wrong_length,
    "hang-body": _hang_body,
    "cut-clean": _cut_clean,
    "cut": _cut,
    "reset-body": _cut,
    "garbage": _garbage,
    "hang": _hang,
    "reset": _reset,
}
