"""What the simulator says, whatever format asks and carries it.

A format reads its request into a `Prompt`, `speak` decides what is said, and the format words
the `Said`. So a further format is one file, and all of them behave alike.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from itertools import cycle, islice, pairwise
from typing import Any, Literal, NamedTuple

from proxy.sim.behaviour import Behaviour
from proxy.sim.schema import example

SHORT_TEXT = 200
"""Characters of the last user message that a reply repeats."""

_FILLER_TEXT = (
    "the simulator answers at once because nobody has to think here and every word of this "
    "text is as good as any other one while the stream runs on from chunk to chunk until all "
    "the tokens that were asked for have been sent to the client who waits for them"
)
FILLER = tuple(_FILLER_TEXT.split())

_WORD = re.compile(r"\S+\s*|\s+")

Finish = Literal["stop", "length", "tools"]


class Tool(NamedTuple):
    """A tool the client offers; `schema` is None where it takes free text."""

    name: str
    schema: dict[str, Any] | None


class Prompt(NamedTuple):
    """What a format understood of a request.

    Attributes:
        said: the text of the last user message.
        images: pictures in all messages.
        tokens: of the whole prompt, counted simply.
        tools: offered, and not forbidden.
        must_call: whether the client insists on a call.
        answered: whether the last message is a tool's result.
        parallel: whether several calls at once are allowed.
        json: whether the answer must be JSON.
        schema: the JSON Schema it must satisfy, if any.
        limit: tokens the answer may have; None: as many as it likes.
        stop: texts the answer ends before.
    """

    said: str = ""
    images: int = 0
    tokens: int = 0
    tools: Sequence[Tool] = ()
    must_call: bool = False
    answered: bool = False
    parallel: bool = True
    json: bool = False
    schema: dict[str, Any] | None = None
    limit: int | None = None
    stop: Sequence[str] = ()


class Call(NamedTuple):
    """One call of a tool; `pieces` joined are its arguments."""

    name: str
    pieces: Sequence[str]
    free: bool

    @property
    def arguments(self) -> str:
        """JSON, or free text for a tool without a schema."""
        return "".join(self.pieces)


class Said(NamedTuple):
    """One answer: text in the pieces it streams in, or calls of tools."""

    pieces: Sequence[str]
    calls: Sequence[Call]
    finish: Finish
    tokens: int

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


def count(text: str) -> int:
    """Return how many tokens a prompt's text counts: one for four characters."""
    return (len(text) + 3) // 4


def speak(prompt: Prompt, behaviour: Behaviour, choice: int = 0) -> Said:
    """Decide what is answered; each `choice` of several is worded differently."""
    if _calls(prompt, behaviour):
        return _call(prompt, behaviour)
    text = _text(prompt, behaviour, choice)
    ended, finish = _end(text, prompt)
    return Said(_pieces(ended, behaviour), (), finish, len(ended.split()))


def _calls(prompt: Prompt, behaviour: Behaviour) -> bool:
    if not prompt.tools or behaviour.tools == "never":
        return False
    return prompt.must_call or behaviour.tools == "always" or not prompt.answered


def _call(prompt: Prompt, behaviour: Behaviour) -> Said:
    amount = behaviour.parallel if prompt.parallel else 1
    calls = []
    for tool in islice(cycle(prompt.tools), amount):
        said = prompt.said[:SHORT_TEXT]
        if tool.schema is None:
            arguments = said or tool.name
        else:
            made = example(tool.schema, said)
            arguments = _json(made if isinstance(made, dict) else {})
        calls.append(Call(tool.name, _pieces(arguments, behaviour), tool.schema is None))
    tokens = sum(count(call.arguments) for call in calls)
    return Said((), calls, "tools", tokens)


def _text(prompt: Prompt, behaviour: Behaviour, choice: int) -> str:
    if prompt.json:
        made = {"answer": prompt.said} if prompt.schema is None else _example(prompt)
        return _json(made)
    if behaviour.text == "echo":
        return prompt.said
    opening = _opening(prompt) if behaviour.text == "reply" else ""
    wanted = behaviour.tokens
    if behaviour.chunks and not behaviour.bytes:
        wanted = max(wanted, behaviour.chunks)
    missing = wanted - len(opening.split())
    size = behaviour.chunks * behaviour.bytes
    if size:
        missing = size // 2  # a word and its space are two characters at least
    text = "\n".join(filter(None, (opening, _filler(missing, behaviour.seed + choice))))
    if not size:
        return text
    return text[:size] if len(text) >= size else text.ljust(size, ".")


def _example(prompt: Prompt) -> Any:
    return example(prompt.schema, prompt.said[:SHORT_TEXT])


def _opening(prompt: Prompt) -> str:
    said = prompt.said
    short = said if len(said) <= SHORT_TEXT else said[:SHORT_TEXT] + "…"
    parts = []
    if prompt.images:
        parts.append(f"You sent {prompt.images} image{'s' if prompt.images > 1 else ''}.")
    if short:
        parts.append(f"You said: {short}")
    return " ".join(parts)


def _filler(words: int, seed: int) -> str:
    """Return so many words, the same for the same seed; seed 0 begins at the beginning."""
    if words <= 0:
        return ""
    start = random.Random(seed).randrange(len(FILLER)) if seed else 0
    turned = FILLER[start:] + FILLER[:start]
    rounds, rest = divmod(words, len(turned))
    return ((" ".join(turned) + " ") * rounds + " ".join(turned[:rest])).rstrip()


def _end(text: str, prompt: Prompt) -> tuple[str, Finish]:
    """Cut the text where a stop text or the token limit ends it, whichever is first."""
    places = [place for stop in prompt.stop if stop and (place := text.find(stop)) >= 0]
    text = text[: min(places)] if places else text
    if prompt.limit is None or len(text) // 2 < prompt.limit:
        return text, "stop"
    words = _WORD.findall(text)
    if len(words) <= prompt.limit:
        return text, "stop"
    return "".join(words[: prompt.limit]), "length"


def _pieces(text: str, behaviour: Behaviour) -> list[str]:
    """Cut the text as the behaviour says; joined again it is the same text."""
    if behaviour.bytes:
        size = behaviour.bytes
        return [text[start : start + size] for start in range(0, len(text), size)]
    if behaviour.chunks:
        parts = min(behaviour.chunks, len(text))
        edges = [index * len(text) // parts for index in range(parts + 1)] if parts else []
        return [text[start:end] for start, end in pairwise(edges)]
    return _WORD.findall(text)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
