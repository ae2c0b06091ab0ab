"""JSON Schema as Cohere enforces it: a part of the language.

What it does not know is taken out and told, rather than sent for a 400.

Source: https://docs.cohere.com/docs/structured-outputs#schema-constraints (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_REFUSED = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
        *("allOf", "oneOf", "not", "if", "then", "else"),
    }
)
_MAPS = ("properties", "$defs", "definitions")


def plain(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what can be sent of a schema, and the keywords that cannot."""
    missing: set[str] = set()
    return _reduced(schema, missing), sorted(missing)


def _reduced(schema: Any, missing: set[str]) -> Any:
    return dict(_members(schema, missing)) if isinstance(schema, dict) else schema


def _members(schema: dict[str, Any], missing: set[str]) -> Iterator[tuple[str, Any]]:
    for keyword, value in schema.items():
        if keyword in _REFUSED:
            missing.add(keyword)
        elif keyword in _MAPS and isinstance(value, dict):
            yield keyword, {name: _reduced(inner, missing) for name, inner in value.items()}
        elif keyword == "anyOf" and isinstance(value, list):
            yield keyword, [_reduced(inner, missing) for inner in value]
        else:
            yield keyword, _reduced(value, missing) if keyword == "items" else value
