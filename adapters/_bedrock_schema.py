"""JSON Schema as the service compiles it into a grammar: a part of the language.

What it refuses is taken out and told, rather than sent for a 400. That the answer may have
more members than are named is one of these things: every object is closed.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
(2026-11-21)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_REFUSED = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "maxItems", "uniqueItems"),
        *("contains", "minContains", "maxContains"),
        *("minProperties", "maxProperties", "patternProperties", "propertyNames"),
        *("unevaluatedProperties", "unevaluatedItems", "dependentRequired", "dependentSchemas"),
        *("if", "then", "else", "not"),
    }
)
_SCHEMAS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")


class Subset:
    """A schema without what the service refuses.

    Attributes:
        schema: what is left.
        taken: the keywords that are not in it, each once.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self.taken: dict[str, None] = {}
        self.schema: dict[str, Any] = self._reduced(schema)

    def _reduced(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        reduced = dict(self._members(schema))
        if reduced.get("type") == "object" or "properties" in reduced:
            if schema.get("additionalProperties", False) is not False:
                self.taken["additionalProperties"] = None
            reduced["additionalProperties"] = False
        return reduced

    def _members(self, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in schema.items():
            if name in _REFUSED or (name == "minItems" and value not in (0, 1)):
                self.taken[name] = None
            elif name in _SCHEMAS and isinstance(value, dict):
                yield name, {key: self._reduced(inner) for key, inner in value.items()}
            elif name in _LISTS and isinstance(value, list):
                yield name, [self._reduced(inner) for inner in value]
            else:
                yield name, self._reduced(value) if name == "items" else value
