"""JSON Schema of the configuration file, for editors to complete and check with.

It describes the file, not the structs: `30s` where they have seconds, `${NAME}` anywhere, a
plugin's bare name for an entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from proxy.config import units
from proxy.config.resilience import StrategyEntry
from proxy.config.structs import Config, Credential, PluginEntry
from proxy.config.types import Secret

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SUBSTITUTED = r"\$\{|^file:"
_NULL: Schema = {"type": "null"}
_TEXT: Schema = {"type": "string"}
_VARIABLE: Schema = {"$ref": "#/$defs/variable"}
_TEXTS: dict[str, Schema] = {
    "variable": {
        "description": "${NAME}, ${NAME:-default} or file:/path.",
        "type": "string",
        "pattern": _SUBSTITUTED,
    },
    "duration": {
        "description": "250ms, 30s, 5m, 2h; a bare number is seconds.",
        "type": "string",
        "pattern": f"^(?:{units.DURATION})$",
    },
    "size": {
        "description": "64KiB, 32MiB, 10MB, 1GiB; a bare number is bytes.",
        "type": "string",
        "pattern": f"^(?:{units.SIZE})$",
    },
    "money": {
        "description": "$12.50; a bare number is dollars.",
        "type": "string",
        "pattern": f"^(?:{units.MONEY})$",
    },
    "share": {
        "description": "5%; a bare number is a part of one.",
        "type": "string",
        "pattern": f"^(?:{units.SHARE})$",
    },
    "rate": {
        "description": "600/m, 10/s, 5000/h; a bare number is a minute's.",
        "type": "string",
        "pattern": f"^(?:{units.RATE})$",
    },
}
"""Texts that stand for other values."""


def schema() -> Schema:
    """Return the schema; every struct is one of its `$defs`."""
    definitions: dict[str, Schema] = dict(_TEXTS)
    root = _Writer(definitions).settings(inspect.type_info(Config))
    root["properties"]["$schema"] = _TEXT
    return {"$schema": _DIALECT, "title": "Headgate", **root, "$defs": definitions}


class _Writer:
    """Writes types as schemas and collects the structs it meets."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions
        self._by_type: dict[type, Callable[[Any], Schema]] = {
            inspect.Metadata: self._marked,
            inspect.UnionType: self._optional,
            inspect.StructType: self._struct,
            inspect.DictType: self._dict,
            inspect.ListType: self._list,
            inspect.CustomType: lambda _: dict(_TEXT),
            inspect.StrType: lambda _: dict(_TEXT),
            inspect.AnyType: lambda _: {},
            inspect.BoolType: lambda _: {"anyOf": [{"type": "boolean"}, _VARIABLE]},
            inspect.IntType: lambda kind: _number("integer", kind),
            inspect.FloatType: lambda kind: _number("number", kind),
        }

    def write(self, kind: inspect.Type) -> Schema:
        """Return the schema of one type."""
        return self._by_type[type(kind)](kind)

    def settings(self, kind: Any) -> Schema:
        """Return the schema of a struct's members."""
        required = [field.name for field in kind.fields if field.required]
        return {
            "description": _summary(kind.cls),
            "type": "object",
            "properties": {field.name: self._field(field) for field in kind.fields},
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }

    def _field(self, field: inspect.Field) -> Schema:
        written = self.write(field.type)
        if field.required:
            return written
        described = {key: written.pop(key) for key in ("description",) if key in written}
        return {**described, **_or_null(written), **_default(field)}

    def _marked(self, kind: inspect.Metadata) -> Schema:
        mark = (kind.extra or {}).get("kind")
        written = self.write(kind.type)
        if mark in _FORMATS:
            written["anyOf"].insert(1, {"$ref": f"#/$defs/{mark}"})
        if mark == "patterns":
            written = {"anyOf": [written, dict(_TEXT)]}
        return {**(kind.extra_json_schema or {}), **written}

    def _optional(self, kind: inspect.UnionType) -> Schema:
        inner = next(t for t in kind.types if not isinstance(t, inspect.NoneType))
        return self.write(inner)

    def _struct(self, kind: inspect.StructType) -> Schema:
        name = kind.cls.__name__
        if name not in self._definitions:
            self._definitions[name] = {}
            self._definitions[name] = self._shorthand(kind)
        return {"$ref": f"#/$defs/{name}"}

    def _shorthand(self, kind: inspect.StructType) -> Schema:
        """Return a struct's schema with the shorter forms a file may use."""
        if kind.cls in (PluginEntry, StrategyEntry):
            options: Schema = {"type": ["object", "null"]}
            entry = {"type": "object", "maxProperties": 1, "minProperties": 1}
            described = {"description": _summary(kind.cls)}
            return {**described, "anyOf": [_TEXT, {**entry, "additionalProperties": options}]}
        if kind.cls is Credential:
            return {"anyOf": [_TEXT, self.settings(kind)]}
        return self.settings(kind)

    def _dict(self, kind: inspect.DictType) -> Schema:
        return {"type": "object", "additionalProperties": self._member(kind.value_type)}

    def _member(self, kind: inspect.Type) -> Schema:
        written = self.write(kind)
        return _or_null(written) if isinstance(kind, inspect.StructType) else written

    def _list(self, kind: inspect.ListType) -> Schema:
        least = {"minItems": kind.min_length} if kind.min_length else {}
        return {"type": "array", "items": self.write(kind.item_type), **least}


def _number(name: str, kind: inspect.IntType | inspect.FloatType) -> Schema:
    bounds = {"minimum": kind.ge, "exclusiveMinimum": kind.gt, "maximum": kind.le}
    set_ = {key: bound for key, bound in bounds.items() if bound is not None}
    return {"anyOf": [{"type": name, **set_}, _VARIABLE]}


def _or_null(written: Schema) -> Schema:
    """Return a schema that also takes null, which leaves a setting at its default."""
    if "anyOf" in written:
        return {**written, "anyOf": [*written["anyOf"], _NULL]}
    if isinstance(written.get("type"), str):
        return {**written, "type": [written["type"], "null"]}
    return {"anyOf": [written, _NULL]} if written else written


def _default(field: inspect.Field) -> Schema:
    """Return the default as a file would have it; groups and empty ones speak for themselves."""
    value = field.default.reveal() if isinstance(field.default, Secret) else field.default
    if value in (None, "", msgspec.NODEFAULT) or isinstance(value, msgspec.Struct):
        return {}
    write = _FORMATS.get(_kind_of(field.type))
    return {"default": write(value) if write else value}


_FORMATS: dict[str, Callable[[Any], str]] = {
    "duration": units.format_duration,
    "size": units.format_size,
    "money": units.format_money,
    "share": units.format_share,
    "rate": units.format_rate,
}


def _kind_of(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return str((kind.extra or {}).get("kind", ""))
    return ""


def _summary(struct: type) -> str:
    return " ".join((struct.__doc__ or "").split())
