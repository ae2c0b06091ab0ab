"""An example of any JSON Schema: what a tool is called with, what a structured answer is.

The usual keywords are obeyed: `type properties required enum const items prefixItems minItems
anyOf oneOf allOf $ref $defs format minimum maximum multipleOf minLength maxLength default`.
A schema that contradicts itself, or a `pattern`, may get an example that does not satisfy it.

Source: https://json-schema.org/understanding-json-schema/reference (2026-11-21)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MAX_DEPTH = 32
MAX_VALUES = 1_000
"""Values of one example; a schema that asks for more is answered short."""

FORMATS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "PT5M",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "12345678-1234-4234-8234-123456789abc",
}

Schema = Mapping[str, Any]


def example(schema: object, text: str = "") -> Any:
    """Return a value that satisfies `schema`.

    Args:
        schema: decoded JSON; True, an empty object or anything unreadable means "any".
        text: what free strings say; empty: the name of their property.
    """
    return _Example(schema, text).value(schema, "text", 0)


class _Example:
    """One walk through a schema."""

    def __init__(self, root: object, text: str) -> None:
        self._root = root
        self._text = text
        self._values = 0

    def value(self, schema: object, name: str, depth: int) -> Any:
        """Return an example; `name` is the property it is for."""
        self._values += 1
        if depth > MAX_DEPTH:  # a schema that requires itself has no example
            return None
        schema = self._resolve(schema)
        for fixed in ("const", "default"):
            if fixed in schema:
                return schema[fixed]
        if choices := _list(schema, "enum"):
            return choices[0]
        if branches := _list(schema, "anyOf") or _list(schema, "oneOf"):
            return self.value(self._branch(schema, branches, depth), name, depth + 1)
        kind = _kind(schema, shallow=depth >= MAX_DEPTH)
        return _MAKERS[kind](self, schema, name, depth)

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        """Give every property, or below the depth limit the required ones."""
        properties = _mapping(schema, "properties")
        wanted = list(properties)
        if self._full(depth):
            wanted = [key for key in wanted if key in _list(schema, "required")]
        made = {key: self.value(properties[key], key, depth + 1) for key in wanted}
        for key in _list(schema, "required"):
            made.setdefault(str(key), f"{key}")
        return made

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        """Give as few items as allowed, but one rather than none."""
        places = list(_list(schema, "prefixItems"))
        least = max(int(_number(schema, "minItems", 0)), len(places))
        most = int(_number(schema, "maxItems", least + 1))
        count = least or min(1, most)
        if self._full(depth):
            count = least
        items = schema.get("items", {})
        made: list[Any] = []
        for index in range(min(count, MAX_VALUES - self._values)):
            place = places[index] if index < len(places) else items
            made.append(self.value(place, name, depth + 1))
        return _distinct(made) if schema.get("uniqueItems") else made

    def _string(self, schema: Schema, name: str, depth: int) -> str:
        """Give the format's example, else the wanted text within its lengths."""
        known = FORMATS.get(str(schema.get("format")))
        if known is not None:
            return known
        text = self._text or name
        least = min(int(_number(schema, "minLength", 0)), 1_000_000)
        return text.ljust(least, "x")[: int(_number(schema, "maxLength", 1_000_000))]

    def _integer(self, schema: Schema, name: str, depth: int) -> int:
        """Give a whole number within the bounds, near 1."""
        low, high, step = _bounds(schema, 1)
        return int(_near(low, high, max(1, round(step))))

    def _number(self, schema: Schema, name: str, depth: int) -> float:
        """Give a number within the bounds, near 1.5."""
        low, high, step = _bounds(schema, 0)
        if step:
            return _near(low, high, step)
        if low <= 1.5 <= high:
            return 1.5
        if math.isinf(high):
            return low + 0.5
        return high - 0.5 if math.isinf(low) else (low + high) / 2

    def _boolean(self, schema: Schema, name: str, depth: int) -> bool:
        """Give true."""
        return True

    def _null(self, schema: Schema, name: str, depth: int) -> None:
        """Give null."""
        return None

    def _full(self, depth: int) -> bool:
        return depth >= MAX_DEPTH // 2 or self._values >= MAX_VALUES

    def _resolve(self, schema: object) -> Schema:
        """Follow `$ref` and merge `allOf`; anything unreadable becomes an empty schema."""
        found: dict[str, Any] = {}
        followed = set()  # one that leads back to itself says nothing new
        pending = [schema]
        for _ in range(MAX_DEPTH):
            if not pending:
                break
            part = pending.pop(0)
            if not isinstance(part, Mapping):
                continue
            if (reference := str(part.get("$ref", ""))) and reference not in followed:
                followed.add(reference)
                pending.append(self._at(reference))
            pending += _list(part, "allOf")
            _merge(found, part)
        return found

    def _at(self, reference: str) -> object:
        """Return the schema a local `#/...` reference points to."""
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                return {}
            found = found[key]
        return found

    def _branch(self, schema: Schema, branches: Sequence[Any], depth: int) -> Schema:
        """Choose the first branch, deep down the plainest, with what stands beside it."""
        choices = [self._resolve(branch) for branch in branches]
        chosen = min(choices, key=_weight) if self._full(depth) else choices[0]
        beside = {key: schema[key] for key in schema if key not in ("anyOf", "oneOf")}
        _merge(beside, chosen)
        return beside


_Maker = Callable[[_Example, Schema, str, int], Any]
_MAKERS: dict[str, _Maker] = {
    "object": _Example._object,
    "array": _Example._array,
    "string": _Example._string,
    "integer": _Example._integer,
    "number": _Example._number,
    "boolean": _Example._boolean,
    "null": _Example._null,
}
_KEYWORDS = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def _kind(schema: Schema, *, shallow: bool) -> str:
    """Return the type to make, from `type` or from the keywords that imply one."""
    kinds = schema.get("type")
    listed = kinds if isinstance(kinds, list) else [kinds]
    known = [kind for kind in listed if isinstance(kind, str) and kind in _MAKERS]
    if shallow:
        return "null" if "null" in known or not known else known[0]
    if known:
        return str(known[0])
    for kind, words in _KEYWORDS.items():
        if any(word in schema for word in words):
            return kind
    return "string"


def _weight(schema: Schema) -> int:
    """Say how much deeper a branch may lead: null before plain values before the others."""
    kind = schema.get("type")
    return 0 if kind == "null" else 2 if kind in ("object", "array", None) else 1


def _merge(found: dict[str, Any], part: Schema) -> None:
    for key, value in part.items():
        if key in ("$ref", "allOf"):
            continue
        if key == "properties" and isinstance(value, Mapping):
            found[key] = {**_mapping(found, key), **value}
        elif key == "required" and isinstance(value, list):
            found[key] = [*_list(found, key), *value]
        else:
            found[key] = value


def _bounds(schema: Schema, step: float) -> tuple[float, float, float]:
    """Return the lowest and the highest number, both allowed, and the step (0: any)."""
    multiple = abs(_number(schema, "multipleOf", step))
    nudge = multiple or 1e-6
    low = _number(schema, "minimum", -math.inf)
    high = _number(schema, "maximum", math.inf)
    low = max(low, _number(schema, "exclusiveMinimum", -math.inf) + nudge)
    high = min(high, _number(schema, "exclusiveMaximum", math.inf) - nudge)
    return low, high, multiple


def _near(low: float, high: float, step: float) -> float:
    """Return the multiple of `step` within the bounds that is nearest to one step."""
    wanted = min(max(step, low), high)
    lower = math.floor(wanted / step) * step
    return lower if lower >= low else lower + step


def _distinct(values: list[Any]) -> list[Any]:
    """Make equal strings and numbers differ."""
    return [
        f"{value}{index}" if index and isinstance(value, str)
        else value + index if index and type(value) in (int, float)
        else value
        for index, value in enumerate(values)
    ]  # fmt: skip


def _number(schema: Schema, key: str, default: float) -> float:
    value = schema.get(key)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return default


def _list(schema: Schema, key: str) -> Sequence[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else ()


def _mapping(schema: Schema, key: str) -> Mapping[str, Any]:
    value = schema.get(key)
    return value if isinstance(value, Mapping) else {}
