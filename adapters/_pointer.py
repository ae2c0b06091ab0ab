"""JSON Pointer, and patches of documents by it.

Beyond the standard, what does not exist is no error: reading it gives None, moving or removing
it does nothing, and setting makes the objects and lists on the way.

Source: https://www.rfc-editor.org/rfc/rfc6901 (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, Literal

import msgspec

MAX_INDEX = 1000


class Patch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change of a document.

    Attributes:
        op: `set` a value, `remove` one, or `move` it here.
        path: the place.
        value: what `set` sets.
        source: where `move` takes it from; called "from".
    """

    op: Literal["set", "remove", "move"]
    path: str
    value: Any = None
    source: str = msgspec.field(default="", name="from")


def tokens(pointer: str) -> tuple[str, ...]:
    """Return the steps of a pointer; none for the empty one, the whole document.

    Raises:
        ValueError: it does not begin with a slash.
    """
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is no JSON Pointer: it must begin with a slash")
    steps = pointer[1:].split("/")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def get(document: Any, steps: Sequence[str]) -> Any:
    """Return what is there, or None."""
    for step in steps:
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def put(document: Any, steps: Sequence[str], value: Any) -> None:
    """Set `value`; where a step is a number, the list on the way is made long enough."""
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        inner: Any = value
        if following is not None:
            inner = get(document, (step,))
            if not isinstance(inner, dict | list):
                inner = [] if following.isdecimal() else {}
        if isinstance(document, dict):
            document[step] = inner
        elif step.isdecimal() and int(step) <= MAX_INDEX:
            document += [None] * (int(step) + 1 - len(document))
            document[int(step)] = inner
        else:
            return
        document = inner


def take(document: Any, steps: Sequence[str]) -> Any:
    """Remove what is there and return it, or None."""
    above, last = get(document, steps[:-1]), steps[-1]
    if isinstance(above, dict):
        return above.pop(last, None)
    if isinstance(above, list) and last.isdecimal() and int(last) < len(above):
        return above.pop(int(last))
    return None


def apply(patches: Iterable[Patch], document: Any) -> None:
    """Make each change in turn."""
    for patch in patches:
        place = tokens(patch.path)
        if patch.op == "set":
            put(document, place, deepcopy(patch.value))
        elif patch.op == "remove":
            take(document, place)
        else:
            value = take(document, tokens(patch.source))
            if value is not None:
                put(document, place, value)


def check(patches: Iterable[Patch]) -> None:
    """Check what the types do not say.

    Raises:
        ValueError: a pointer is none, or names the whole document.
    """
    for patch in patches:
        places = [patch.path, patch.source] if patch.op == "move" else [patch.path]
        for place in places:
            if not tokens(place):
                raise ValueError(f"`{patch.op}` cannot be of the whole document")
