"""JSON Schema down to what Google's models take of it.

References are resolved, what only annotates is left out, and what constrains but has no
counterpart is named, so that nobody believes it is enforced.

Source: https://ai.google.dev/api/generate-content, `responseJsonSchema` (2026-11-21)
"""

from __future__ import annotations

from typing import Any

from proxy.errors import InvalidRequest

_KEPT = frozenset(
    {
        *("type", "title", "description", "enum", "required", "propertyOrdering"),
        *("minimum", "maximum", "minItems", "maxItems"),
    }
)
_ANNOTATIONS = frozenset(
    {
        *("$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "default", "example"),
        *("examples", "readOnly", "writeOnly", "deprecated", "discriminator", "strict"),
    }
)
_FORMATS = frozenset(
    {"date-time", "date", "time", "duration", "enum", "int32", "int64", "float", "double"}
)
_MOST_NODES = 5_000
"""From here on references stay references: resolving them may grow a schema without end."""


def plain(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what can be sent of a schema, and the keywords that cannot, in alphabetical order.

    Raises:
        InvalidRequest: it is nested too deeply.
    """
    cleaner = _Cleaner(schema)
    try:
        cleaned = cleaner.clean(schema)
    except RecursionError:
        raise InvalidRequest("a schema is nested too deeply") from None
    if cleaner.kept:
        cleaned["$defs"] = cleaner.kept
    return cleaned, sorted(cleaner.missing)


class _Cleaner:
    """Walks one schema.

    Attributes:
        missing: keywords that constrain and have no counterpart.
        kept: definitions that refer to themselves, so that they must stay definitions.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self.missing: set[str] = set()
        self.kept: dict[str, Any] = {}
        self._root = root
        self._open: list[str] = []
        self._nodes = 0

    def clean(self, schema: Any) -> dict[str, Any]:
        """Return one sub-schema; `true` and what is no schema become the empty one."""
        self._nodes += 1
        if not isinstance(schema, dict):
            return {}
        if isinstance(schema.get("$ref"), str):
            return self._referred(schema)
        cleaned: dict[str, Any] = {}
        for keyword, value in schema.items():
            take = _SUBSCHEMAS.get(keyword)
            if keyword in _KEPT:
                cleaned[keyword] = value
            elif take is not None:
                take(self, cleaned, value)
            elif keyword not in _ANNOTATIONS and not keyword.startswith("x-"):
                self.missing.add(keyword)
        return cleaned

    def _referred(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Put what is referred to in the reference's place, or keep the reference."""
        pointer: str = schema["$ref"]
        beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        found = self._resolve(pointer)
        if found is None:
            self.missing.add("$ref")
            return self.clean(beside)
        if pointer in self._open or self._nodes > _MOST_NODES:
            return self._keep(pointer, found)
        self._open.append(pointer)
        cleaned = self.clean(found)
        self._open.pop()
        return _merged(cleaned, self.clean(beside))

    def _keep(self, pointer: str, found: Any) -> dict[str, Any]:
        if pointer == "#":
            return {"$ref": "#"}
        name = pointer.rpartition("/")[2]
        if name not in self.kept:
            self.kept[name] = {}
            self._open.append(pointer)
            self.kept[name] = self.clean(found)
            self._open.pop()
        return {"$ref": f"#/$defs/{name}"}

    def _resolve(self, pointer: str) -> Any:
        """Follow a pointer within this schema; None if it leads nowhere."""
        if not pointer.startswith("#"):
            return None
        found: Any = self._root
        for step in pointer.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                return None
            found = found[name]
        return found

    def _members(self, cleaned: dict[str, Any], value: Any) -> None:
        if isinstance(value, dict):
            cleaned["properties"] = {name: self.clean(member) for name, member in value.items()}

    def _items(self, cleaned: dict[str, Any], value: Any) -> None:
        if isinstance(value, list):  # before draft 2020-12
            cleaned["prefixItems"] = [self.clean(item) for item in value]
        else:
            cleaned["items"] = self.clean(value)

    def _prefix(self, cleaned: dict[str, Any], value: Any) -> None:
        cleaned["prefixItems"] = [self.clean(item) for item in value]

    def _any(self, cleaned: dict[str, Any], value: Any) -> None:
        cleaned.setdefault("anyOf", []).extend(self.clean(choice) for choice in value)

    def _all(self, cleaned: dict[str, Any], value: Any) -> None:
        for part in value:
            cleaned.update(_merged(cleaned, self.clean(part)))

    def _additional(self, cleaned: dict[str, Any], value: Any) -> None:
        is_flag = isinstance(value, bool)
        cleaned["additionalProperties"] = value if is_flag else self.clean(value)

    def _const(self, cleaned: dict[str, Any], value: Any) -> None:
        cleaned["enum"] = [value]

    def _format(self, cleaned: dict[str, Any], value: Any) -> None:
        if value in _FORMATS:
            cleaned["format"] = value
        else:
            self.missing.add(f"format {value}")

    def _nullable(self, cleaned: dict[str, Any], value: Any) -> None:
        if value and isinstance(cleaned.get("type"), str):
            cleaned["type"] = [cleaned["type"], "null"]


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return what satisfies both, as far as that can be said in one schema."""
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        merged["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    return merged


_SUBSCHEMAS = {
    "properties": _Cleaner._members,
    "items": _Cleaner._items,
    "prefixItems": _Cleaner._prefix,
    "anyOf": _Cleaner._any,
    "oneOf": _Cleaner._any,
    "allOf": _Cleaner._all,
    "additionalProperties": _Cleaner._additional,
    "const": _Cleaner._const,
    "format": _Cleaner._format,
    "nullable": _Cleaner._nullable,
}
