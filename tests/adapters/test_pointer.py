"""JSON Pointer, and patches by it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from adapters import _pointer
from adapters._pointer import Patch

DOCUMENT = b'{"a":{"b":[1,{"c":2}]},"x/y":3,"m~n":4}'


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/a/b/1/c", 2),
        ("/a/b/0", 1),
        ("/x~1y", 3),
        ("/m~0n", 4),
        ("/a/b/7", None),
        ("/a/b/-1", None),
        ("/a/b/c", None),
        ("/a/b/0/c", None),
    ],
)
def test_a_pointer_finds_its_place(pointer: str, value: Any) -> None:
    """Or nothing; that is no error."""
    document = msgspec.json.decode(DOCUMENT)

    assert _pointer.get(document, _pointer.tokens(pointer)) == value
    assert _pointer.get(document, ()) == document


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (Patch("set", "/a/b/1/c", 5), b'{"a":{"b":[1,{"c":5}]},"x/y":3,"m~n":4}'),
        (Patch("set", "/a/b/3", 5), b'{"a":{"b":[1,{"c":2},null,5]},"x/y":3,"m~n":4}'),
        (Patch("set", "/n/0/o", 5), b'{"a":{"b":[1,{"c":2}]},"x/y":3,"m~n":4,"n":[{"o":5}]}'),
        (Patch("set", "/a/b/z", 5), DOCUMENT),
        (Patch("set", "/a/b/99999999", 5), DOCUMENT),
        (Patch("remove", "/a"), b'{"x/y":3,"m~n":4}'),
        (Patch("remove", "/a/b/0"), b'{"a":{"b":[{"c":2}]},"x/y":3,"m~n":4}'),
        (Patch("remove", "/nowhere/at/all"), DOCUMENT),
        (Patch("move", "/z", source="/a/b/1/c"), b'{"a":{"b":[1,{}]},"x/y":3,"m~n":4,"z":2}'),
        (Patch("move", "/z", source="/nowhere"), DOCUMENT),
    ],
)
def test_a_patch_changes_one_place(patch: Patch, expected: bytes) -> None:
    """What cannot be done is left undone; lists do not grow without bounds."""
    document = msgspec.json.decode(DOCUMENT)
    _pointer.apply([patch], document)

    assert msgspec.json.encode(document) == expected


def test_what_was_set_belongs_to_its_document() -> None:
    """One request's change is not the next one's."""
    patch = Patch("set", "/list", [])
    for _ in range(2):
        document: dict[str, Any] = {}
        _pointer.apply([patch, Patch("set", "/list/0", 1)], document)
        assert document == {"list": [1]}
    assert patch.value == []
