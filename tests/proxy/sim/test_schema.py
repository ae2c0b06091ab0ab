"""Examples of JSON Schemas."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sim.schema import MAX_VALUES, example

TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name", "left", "children"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "format": "date"}, "2026-01-02"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5, "maximum": 9}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
        ({"type": "number"}, 1.5),
        ({"type": "number", "minimum": 3, "maximum": 4}, 3.5),
        ({"type": "number", "maximum": 0}, -0.5),
        ({"type": "number", "minimum": 2}, 2.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, "text"),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"default": 8}, 8),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"oneOf": [{"const": "x"}]}, "x"),
        ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, 3),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
        (
            {"type": "array", "minItems": 2, "uniqueItems": True, "items": {"type": "integer"}},
            [1, 2],
        ),
        ({"prefixItems": [{"const": 1}, {"const": "a"}]}, [1, "a"]),
        ({"type": "object"}, {}),
        ({"properties": {"a": {"type": "string"}}}, {"a": "a"}),
        ({"type": "object", "required": ["z"]}, {"z": "z"}),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 4}}}, 4),
        (True, "text"),
        ({}, "text"),
        ({"type": "nonsense"}, "text"),
        ({"$ref": "#/nowhere"}, "text"),
        ({"$ref": "#"}, "text"),
    ],
)
def test_usual_keywords(schema: object, expected: object) -> None:
    """Each keyword gives a value that satisfies it."""
    assert example(schema) == expected


def test_free_strings_say_the_text() -> None:
    """What the user said comes back in strings nothing else is asked of."""
    schema = {"properties": {"a": {"type": "string"}, "d": {"type": "string", "format": "date"}}}
    assert example(schema, "hello") == {"a": "hello", "d": "2026-01-02"}


def test_a_recursive_schema_ends() -> None:
    """A tree of trees is cut where its schema allows it."""
    made = example(TREE)
    assert made["name"] == "name"
    deepest = made
    while deepest["left"] is not None:
        deepest = deepest["left"]
    assert deepest["left"] is None


def test_a_schema_that_requires_itself_ends() -> None:
    """Nothing satisfies it, and nothing hangs either."""
    schema = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
    assert "a" in example(schema)


def test_a_huge_array_is_bounded() -> None:
    """No schema makes the simulator fill the memory."""
    wide = {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}}
    assert len(json.dumps(example(wide))) < 40 * MAX_VALUES


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 3},
        {"type": "number", "maximum": 2},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["a", 1]},
        {"type": "string", "minLength": 3, "maxLength": 5},
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abc"), inner).map(
            lambda found: {"type": "object", "properties": found, "required": sorted(found)}
        ),
        inner.map(lambda found: {"type": "array", "items": found, "minItems": 1}),
        st.lists(inner, min_size=1).map(lambda found: {"anyOf": found}),
    ),
)


@given(SCHEMAS)
def test_an_example_satisfies_its_schema(schema: Any) -> None:
    """What is generated is what the schema allows, at any depth."""
    assert satisfies(example(schema), schema)


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.dictionaries(
    st.sampled_from(["type", "items", "anyOf", "properties", "required", "$ref", "minItems"]),
    x | st.lists(x) | st.just("#"))))  # fmt: skip
def test_nonsense_gives_some_value(schema: object) -> None:
    """A schema that is none never raises."""
    json.dumps(example(schema))


def satisfies(value: Any, schema: Any) -> bool:
    if "anyOf" in schema:
        return any(satisfies(value, branch) for branch in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    checks = {
        "string": lambda: (
            isinstance(value, str)
            and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 99)
        ),
        "integer": lambda: type(value) is int and value >= schema.get("minimum", 0),
        "number": lambda: type(value) is float and value <= schema.get("maximum", 9),
        "boolean": lambda: type(value) is bool,
        "null": lambda: value is None,
        "array": lambda: (
            len(value) >= schema["minItems"]
            and all(satisfies(each, schema["items"]) for each in value)
        ),
        "object": lambda: (
            set(value) == set(schema["properties"])
            and all(satisfies(value[key], each) for key, each in schema["properties"].items())
        ),
    }
    return bool(checks[schema["type"]]())


def test_a_reference_to_itself_is_followed_once() -> None:
    """What leads back to where it stands has nothing to add, however often it is read."""
    inner = {"type": "integer", "$ref": "#/$defs/a"}
    assert example({"$ref": "#/$defs/a", "$defs": {"a": inner}}) == 1


def test_formats_look_like_what_they_are() -> None:
    """A uuid is a uuid, an email an email."""
    made = example({"properties": {key: {"format": key} for key in ("uuid", "email", "date-time")}})
    assert re.fullmatch(r"[0-9a-f-]{36}", made["uuid"])
    assert "@" in made["email"]
    assert made["date-time"].endswith("Z")
