"""What a patch does to a body, and which bytes it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequest
from proxy.patches import Patch, merge, pointer


@pytest.mark.parametrize(
    ("extra", "body", "patched"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"b": 2}, {"a": 1}, {"a": 1, "b": 2}),
        ({"a": 2}, {"a": 1}, {"a": 2}),
        ({"a": None}, {"a": 1}, {"a": None}),
        ({"a": [3]}, {"a": [1, 2]}, {"a": [3]}),
        ({"o": {"b": 2}}, {}, {"o": {"b": 2}}),
        ({"o": {"b": 2}}, {"o": {"a": 1}}, {"o": {"a": 1, "b": 2}}),
        ({"o": {"b": 2}}, {"o": None}, {"o": {"b": 2}}),
        ({"o": {"b": 2}}, {"o": [1]}, {"o": {"b": 2}}),
        (
            {"o": {"p": {"x": 1}}},
            {"o": {"p": {"y": 2}, "q": 3}},
            {"o": {"p": {"y": 2, "x": 1}, "q": 3}},
        ),
        ({"o": {"l": [9]}}, {"o": {"l": [1, 2], "m": 1}}, {"o": {"l": [9], "m": 1}}),
        ({"o": 1}, {"o": {"a": 1}}, {"o": 1}),
        ({"o": {}}, {"o": {"a": 1}}, {"o": {"a": 1}}),
    ],
)
def test_what_is_extra_wins(extra: Any, body: Any, patched: Any) -> None:
    """Objects are merged at every depth; arrays and all else are replaced."""
    assert json.loads(Patch(extra).apply(json.dumps(body).encode())) == patched


WHOLE = {"a": 1, "o": {"p": {"x": 1, "y": 2}}, "l": [{"k": 0}, {"k": 1}, 2], "s/t": 1, "~": 2}


@pytest.mark.parametrize(
    ("remove", "changed"),
    [
        (["/a"], {"a": ...}),
        (["/o/p/x"], {"o": {"p": {"y": 2}}}),
        (["/o/p"], {"o": {}}),
        (["/l/1/k"], {"l": [{"k": 0}, {}, 2]}),
        (["/l/0", "/l/1"], {"l": [2]}),
        (["/l/1/k", "/l/0"], {"l": [{}, 2]}),
        (["/s~1t", "/~0", "/l", "/o"], {"s/t": ..., "~": ..., "l": ..., "o": ...}),
    ],
)
def test_what_is_named_is_taken_out(remove: list[str], changed: dict[str, Any]) -> None:
    """Positions mean those of the body as it came."""
    left = {name: value for name, value in {**WHOLE, **changed}.items() if value is not ...}
    assert json.loads(Patch({}, remove).apply(json.dumps(WHOLE).encode())) == left


@pytest.mark.parametrize(
    "missing", ["/b", "/", "/a/b", "/o/q/r", "/l/3", "/l/-", "/l/01", "/l/x", "/l/0/k/z", "/l/-1"]
)
def test_what_is_not_there_need_not_be_taken_out(missing: str) -> None:
    """One patch serves requests of many forms."""
    body = {"a": 1, "o": {"p": None}, "l": [{"k": 0}, 1, 2]}
    assert json.loads(Patch({}, [missing]).apply(json.dumps(body).encode())) == body


def test_taking_out_comes_before_putting_in() -> None:
    """So an object can be replaced as a whole."""
    patch = Patch({"o": {"b": 2}}, ["/o"])
    assert json.loads(patch.apply(b'{"o": {"a": 1}}')) == {"o": {"b": 2}}


def test_untouched_members_keep_their_bytes() -> None:
    """Numbers, escapes and spaces as the client wrote them, and two spellings of one letter."""
    kept = b'{ "x": 1.0e+2,  "y": "\\u00e4", "z": 12345678901234567890123 }'
    body = b'{"messages": %b, "o": {"p": 1}, "stop": [ "a" ]}' % kept
    patched = Patch({"top_k": 4, "o": {"q": 2}}, ["/stop"]).apply(body)
    assert patched == b'{"messages":%b,"o":{"p":1,"q":2},"top_k":4}' % kept


@pytest.mark.parametrize("body", [b"", b"--boundary\r\n", b"[1]", b'"text"', b'{"a":'])
def test_what_is_no_object_stays_as_it_is(body: bytes) -> None:
    """Uploads are no JSON, and a GET has no body."""
    assert Patch({"a": 1}, ["/b"]).apply(body) == body


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("/a", ("a",)),
        ("/", ("",)),
        ("/a/", ("a", "")),
        ("/a~1b/c~0d/~01", ("a/b", "c~d", "~1")),
        ("/ä b/0", ("ä b", "0")),
    ],
)
def test_a_pointer_is_read_as_its_rfc_says(text: str, names: tuple[str, ...]) -> None:
    """`~01` is `~1`, not `/`."""
    assert pointer(text) == names


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "whole body"),
        ("a/b", "begin with `/`"),
        ("#/a", "begin"),
        ("/a~2", "~0"),
        ("/a~", "~0"),
    ],
)
def test_a_wrong_pointer_is_told_at_once(text: str, word: str) -> None:
    """When the configuration is read, not with the first request."""
    with pytest.raises(ValueError, match=word):
        Patch({}, [text])


def test_what_json_cannot_say_is_told_at_once() -> None:
    """With the member's name."""
    with pytest.raises(ValueError, match="`odd`"):
        Patch({"odd": object()})


def test_an_empty_patch_is_false() -> None:
    """Whoever has none need not apply it."""
    assert not Patch({})
    assert Patch({"a": 1})
    assert Patch({}, ["/a"])
    assert Patch({}, ["/a/b"])


def test_a_body_that_is_nested_too_deeply_is_the_clients_fault() -> None:
    """It is no error of ours."""
    depth = 100_000
    body = b'{"o":' + b'{"p":' * depth + b"1" + b"}" * depth + b"}"
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        Patch({"o": {"q": 1}}).apply(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_patch_is_the_merge_of_the_whole_documents(body: Any, extra: Any) -> None:
    """Reading one level deep is a matter of speed alone."""
    patched = Patch(extra).apply(json.dumps(body).encode())
    assert json.loads(patched) == merge(body, extra)


@given(OBJECTS, OBJECTS)
def test_a_patch_does_not_change_what_it_was_made_of(body: Any, extra: Any) -> None:
    """And gives the same the second time."""
    before = json.dumps(extra)
    patch, raw = Patch(extra), json.dumps(body).encode()
    once = patch.apply(raw)
    assert patch.apply(raw) == once == patch.apply(once)
    assert json.dumps(extra) == before
