"""What a user patches into the JSON that a vendor gets: members set, members taken out.

A body is read one level deep. Only members that a patch reaches into are decoded; every
other member keeps its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from proxy.errors import InvalidRequest

Pointer: TypeAlias = tuple[str, ...]
"""An RFC 6901 pointer as the names and indices it goes through."""

_SHALLOW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_TOO_DEEP = "the body is nested too deeply"
_BAD_ESCAPE = re.compile(r"~(?![01])")

_decode = msgspec.json.decode
_encode = msgspec.json.encode


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both objects as one: objects are merged, anything else of `above` replaces."""
    merged = dict(below)
    for name, value in above.items():
        before = merged.get(name)
        if isinstance(value, Mapping):
            merged[name] = merge(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def pointer(text: str) -> Pointer:
    """Read a JSON pointer such as `/generationConfig/topK`.

    Raises:
        ValueError: it is none, or it means the whole body.

    Source: https://www.rfc-editor.org/rfc/rfc6901 (2026-11-21)
    """
    if not text:
        raise ValueError("an empty JSON pointer means the whole body; name a member, as `/top_k`")
    if not text.startswith("/"):
        raise ValueError(f"`{text}` is no JSON pointer: it must begin with `/`")
    if _BAD_ESCAPE.search(text):
        raise ValueError(f"`{text}` is no JSON pointer: `~` is written `~0`, and `/` is `~1`")
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in text[1:].split("/"))


class Patch:
    """One patch, read once and applied to each body. An empty one is false.

    Members are taken out first, then `extra_body` is merged in.

    Args:
        extra_body: merged into the body, where it wins; arrays are replaced as a whole.
        remove: JSON pointers; what is not there need not be taken out.

    Raises:
        ValueError: a pointer is none, or `extra_body` cannot be written as JSON.
    """

    __slots__ = ("_dropped", "_merged", "_pruned", "_set")

    def __init__(self, extra_body: Mapping[str, Any], remove: Sequence[str] = ()) -> None:
        self._set: dict[str, msgspec.Raw] = {}
        self._merged: dict[str, Mapping[str, Any]] = {}
        self._dropped: list[str] = []
        self._pruned: dict[str, list[Pointer]] = {}
        for name, value in extra_body.items():
            self._set[name] = _json(name, value)
            if isinstance(value, Mapping):
                self._merged[name] = value
        for name, *rest in map(pointer, remove):
            if rest:
                self._pruned.setdefault(name, []).append(tuple(rest))
            else:
                self._dropped.append(name)

    def __bool__(self) -> bool:
        return bool(self._set or self._dropped or self._pruned)

    def apply(self, body: bytes) -> bytes:
        """Return the patched body; one that is no JSON object comes back as it is.

        Raises:
            InvalidRequest: a member that is patched cannot be read.
        """
        members = _shallow(body)
        if members is None:
            return body
        try:
            return self._patched(members)
        except RecursionError:
            raise InvalidRequest(_TOO_DEEP) from None
        except msgspec.MsgspecError as error:
            raise InvalidRequest(f"the body is not a JSON object: {error}") from None

    def _patched(self, members: dict[str, msgspec.Raw]) -> bytes:
        for name in self._dropped:
            members.pop(name, None)
        for name in self._pruned.keys() & members.keys():
            members[name] = _pruned(members[name], self._pruned[name])
        for name, value in self._set.items():
            above = self._merged.get(name)
            before = members.get(name) if above is not None else None
            members[name] = value if before is None else _over(before, above or {}, value)
        return _encode(members)


def _shallow(body: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return _SHALLOW.decode(body)
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
    except msgspec.MsgspecError:
        return None


def _json(name: str, value: object) -> msgspec.Raw:
    try:
        return msgspec.Raw(_encode(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` cannot be written as JSON: {error}") from None


def _over(before: msgspec.Raw, above: Mapping[str, Any], whole: msgspec.Raw) -> msgspec.Raw:
    """Merge `above` into a member; `whole` is its JSON, for a member that is no object."""
    below = _decode(before)
    return msgspec.Raw(_encode(merge(below, above))) if isinstance(below, dict) else whole


def _pruned(member: msgspec.Raw, pointers: Iterable[Pointer]) -> msgspec.Raw:
    value = _decode(member)
    # The greatest index first: taking out one must not move what the next one means.
    for each in sorted(pointers, key=_order, reverse=True):
        _remove(value, each)
    return msgspec.Raw(_encode(value))


def _order(names: Pointer) -> list[tuple[int, str]]:
    return [(len(name), name) for name in names]


def _remove(value: Any, names: Pointer) -> None:
    for name in names[:-1]:
        value = _step(value, name)
    last = names[-1]
    if isinstance(value, dict):
        value.pop(last, None)
    elif isinstance(value, list) and (position := _index(value, last)) is not None:
        del value[position]


def _step(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list) and (position := _index(value, name)) is not None:
        return value[position]
    return None


def _index(array: Sequence[Any], name: str) -> int | None:
    position = int(name) if _INDEX.fullmatch(name) else len(array)
    return position if position < len(array) else None
