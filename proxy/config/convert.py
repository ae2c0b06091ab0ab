"""Plain values to structs, telling every mistake instead of the first.

A wrong value is reported and a harmless one takes its place, so the walk goes on and what
follows needs no second thought. The result is only for use when nothing was reported.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from proxy.config import units
from proxy.config.problems import Place, Report, quote, unknown
from proxy.config.resilience import StrategyEntry
from proxy.config.structs import Config, Credential, PluginEntry
from proxy.config.substitute import Substitution, is_substituted
from proxy.config.types import Secret, Veiled

_KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "nothing",
}
_BOOLEANS = {"true": True, "false": False}
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OWN_HEADERS = frozenset(["host", "content-length", "connection", "transfer-encoding", "upgrade"])
_DEEPEST = 64
_SHOWN_CHARACTERS = 40
_LARGEST = 10**18
_NAMED: dict[type, str] = {PluginEntry: "a plugin's", StrategyEntry: "a strategy's"}

_Number = TypeVar("_Number", int, float)
_Taker = Callable[[Any, Any, Place], Any]


class _Wrong(Exception):
    """A value that cannot be taken; says what it should be."""


def convert(tree: Any, report: Report, substitution: Substitution) -> Config:
    """Return the configuration that `tree` describes, noting mistakes in `report`."""
    walk = _Walk(report, substitution)
    config = walk.take(inspect.type_info(Config), {} if tree is None else tree, ())
    assert isinstance(config, Config)
    return config


class _Walk:
    """One pass over a tree, along the types of the structs."""

    def __init__(self, report: Report, substitution: Substitution) -> None:
        self._report = report
        self._substitution = substitution
        self._by_type: dict[type, _Taker] = {
            inspect.Metadata: self._marked,
            inspect.UnionType: self._optional,
            inspect.StructType: self._struct,
            inspect.DictType: self._dict,
            inspect.ListType: self._list,
            inspect.CustomType: self._secret,
            inspect.AnyType: self._any,
            inspect.StrType: self._str,
            inspect.BoolType: self._bool,
            inspect.IntType: self._int,
            inspect.FloatType: self._float,
        }
        self._by_kind: dict[str, _Taker] = {
            "duration": self._duration,
            "size": self._size,
            "money": self._money,
            "share": self._share,
            "rate": self._rate,
            "patterns": self._patterns,
            "path": self._path,
            "headers": self._headers,
            "options": self._veiled,
        }
        self._by_struct: dict[type, _Taker] = {
            Credential: self._credential,
            PluginEntry: self._named,
            StrategyEntry: self._named,
        }

    def take(self, kind: inspect.Type, raw: Any, place: Place) -> Any:
        """Return `raw` as a `kind`; a harmless value of that kind if it cannot be."""
        try:
            if len(place) > _DEEPEST:
                raise _Wrong("is nested too deeply")
            return self._by_type[type(kind)](kind, raw, place)
        except (_Wrong, ValueError) as wrong:
            self._report.add(place, str(wrong))
            return _harmless(kind)

    # Groups

    def _struct(self, kind: inspect.StructType, raw: Any, place: Place) -> Any:
        take: _Taker = self._by_struct.get(kind.cls, self._settings)
        return take(kind, {} if raw is None else raw, place)

    def _settings(self, kind: inspect.StructType, raw: Any, place: Place) -> Any:
        members = _expect(raw, dict, "a mapping")
        allowed = [field.name for field in kind.fields]
        for name in members:
            if name not in allowed:
                self._report.add((*place, name), unknown(name, "a setting", allowed, "settings"))
        return kind.cls(**{f.name: self._field(f, members, place) for f in kind.fields})

    def _field(self, field: inspect.Field, members: Mapping[str, Any], place: Place) -> Any:
        raw, here = members.get(field.name), (*place, field.name)
        if raw is not None:
            return self.take(field.type, raw, here)
        if field.required:
            self._report.add(here, "is missing")
        return _default(field)

    def _credential(self, kind: inspect.StructType, raw: Any, place: Place) -> Any:
        """Take a bare text for the value."""
        return self._settings(kind, {"value": raw} if isinstance(raw, str) else raw, place)

    def _named(self, kind: inspect.StructType, raw: Any, place: Place) -> Any:
        """Take `name` and `{name: {option: value}}`."""
        if isinstance(raw, str):
            return kind.cls(name=self._substitution.expand(raw))
        if not isinstance(raw, dict) or len(raw) != 1:
            raise _Wrong(
                f"must be {_NAMED[kind.cls]} name, or one name with options: {{name: {{…}}}}"
            )
        (name, given), *_ = raw.items()
        options = next(field.type for field in kind.fields if field.name == "options")
        here = (*place, name)
        return kind.cls(name=name, options=self.take(options, given or {}, here))

    def _dict(self, kind: inspect.DictType, raw: Any, place: Place) -> dict[str, Any]:
        members = _expect(raw, dict, "a mapping")
        return {k: self.take(kind.value_type, v, (*place, k)) for k, v in members.items()}

    def _list(self, kind: inspect.ListType, raw: Any, place: Place) -> list[Any]:
        items = _expect(raw, list, "a list")
        if len(items) < (kind.min_length or 0):
            raise _Wrong("is empty; at least one is needed")
        return [self.take(kind.item_type, item, (*place, i)) for i, item in enumerate(items)]

    def _any(self, kind: inspect.AnyType, raw: Any, place: Place) -> Any:
        if isinstance(raw, dict):
            return {k: self.take(kind, v, (*place, k)) for k, v in raw.items()}
        if isinstance(raw, list):
            return [self.take(kind, item, (*place, i)) for i, item in enumerate(raw)]
        return self._substitution.expand(raw) if isinstance(raw, str) else raw

    # Marks

    def _marked(self, kind: inspect.Metadata, raw: Any, place: Place) -> Any:
        convert_kind = self._by_kind.get((kind.extra or {}).get("kind", ""))
        if convert_kind is None:
            return self.take(kind.type, raw, place)
        return convert_kind(kind.type, raw, place)

    def _optional(self, kind: inspect.UnionType, raw: Any, place: Place) -> Any:
        """Take the one type that is not None; a variable that is empty leaves the setting out."""
        inner = next(t for t in kind.types if not isinstance(t, inspect.NoneType))
        if isinstance(raw, str) and is_substituted(raw) and not self._substitution.expand(raw):
            return None
        return self.take(inner, raw, place)

    def _duration(self, kind: inspect.FloatType, raw: Any, _: Place) -> float:
        return _bounded(kind, self._quantity(raw, units.parse_duration, "a duration"), raw)

    def _size(self, kind: inspect.IntType, raw: Any, _: Place) -> int:
        return _bounded(kind, self._quantity(raw, units.parse_size, "a size"), raw)

    def _money(self, kind: inspect.IntType, raw: Any, _: Place) -> int:
        return _bounded(kind, self._quantity(raw, units.parse_money, "an amount"), raw)

    def _share(self, kind: inspect.FloatType, raw: Any, _: Place) -> float:
        return _bounded(kind, self._quantity(raw, units.parse_share, "a share"), raw)

    def _rate(self, kind: inspect.FloatType, raw: Any, _: Place) -> float:
        return _bounded(kind, self._quantity(raw, units.parse_rate, "a rate"), raw)

    def _patterns(self, kind: inspect.ListType, raw: Any, place: Place) -> list[Any]:
        return self._list(kind, [raw] if isinstance(raw, str) else raw, place)

    def _path(self, kind: inspect.StrType, raw: Any, place: Place) -> str:
        name = self._str(kind, raw, place)
        return str(self._substitution.folder / name) if name else name

    def _veiled(self, kind: inspect.DictType, raw: Any, place: Place) -> Veiled[Any]:
        return Veiled(self._dict(kind, raw, place))

    def _headers(self, kind: inspect.DictType, raw: Any, place: Place) -> Veiled[str]:
        found: Veiled[str] = Veiled()
        for name, value in self._dict(kind, raw, place).items():
            low, here = name.lower(), (*place, name)
            if not _HEADER_NAME.fullmatch(low):
                self._report.add(here, "a header's name has letters, digits and hyphens")
            elif low in _OWN_HEADERS:
                self._report.add(here, "is the connection's own business and cannot be set")
            elif low in found:
                self._report.add(here, "is given twice; capitals make no difference")
            elif not _HEADER_VALUE.fullmatch(value):
                self._report.add(here, "a header's value has no line breaks or other controls")
            found[low] = value
        return found

    # Single values

    def _str(self, _: inspect.StrType, raw: Any, __: Place) -> str:
        if isinstance(raw, (int, float)):
            raise _Wrong(f"must be a text, found {_shown(raw)}; put it in quotation marks")
        return self._substitution.expand(_expect(raw, str, "a text"))

    def _secret(self, _: inspect.CustomType, raw: Any, __: Place) -> Secret:
        if isinstance(raw, (int, float)):
            raise _Wrong("must be a text; put it in quotation marks")
        return Secret(self._substitution.expand(_expect(raw, str, "a text")))

    def _bool(self, _: inspect.BoolType, raw: Any, __: Place) -> bool:
        value = raw
        if isinstance(raw, str) and is_substituted(raw):
            value = _BOOLEANS.get(self._substitution.expand(raw).lower())
        if not isinstance(value, bool):
            raise _Wrong(f"must be true or false, found {_shown(raw)}")
        return value

    def _int(self, kind: inspect.IntType, raw: Any, _: Place) -> int:
        value = self._number(raw)
        if value is None or value != int(value):
            raise _Wrong(f"must be a whole number, found {_shown(raw)}")
        return _bounded(kind, int(value), raw)

    def _float(self, kind: inspect.FloatType, raw: Any, _: Place) -> float:
        value = self._number(raw)
        if value is None:
            raise _Wrong(f"must be a number, found {_shown(raw)}")
        return _bounded(kind, float(value), raw)

    def _number(self, raw: Any) -> int | float | None:
        """Return a number, written as such or in a variable; None: it is none or too large."""
        value = raw
        if isinstance(raw, str) and is_substituted(raw):
            text = self._substitution.expand(raw).strip()
            match = _NUMBER.fullmatch(text)
            value = (float(text) if match[1] else int(text)) if match else None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return value if -_LARGEST <= value <= _LARGEST else None  # nor NaN

    def _quantity(self, raw: Any, parse: Callable[[str | float], _Number], what: str) -> _Number:
        """Return what `parse` makes of `raw`; a variable's content is not repeated."""
        if not isinstance(raw, (str, int, float)):
            raise _Wrong(f"must be {what}, found {_shown(raw)}")
        if not isinstance(raw, str) or not is_substituted(raw):
            return parse(raw)
        text = self._substitution.expand(raw).strip()
        try:
            return parse(text)
        except ValueError:
            raise _Wrong(f"{quote(raw)} does not hold {what}") from None


def _default(field: inspect.Field) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return _harmless(field.type)


def _harmless(kind: inspect.Type) -> Any:
    """Return some value of this kind, in the place of one that is wrong."""
    if isinstance(kind, inspect.Metadata):
        return _harmless(kind.type)
    if isinstance(kind, inspect.StructType):
        return kind.cls(**{field.name: _default(field) for field in kind.fields})
    make = _HARMLESS.get(type(kind))
    return make() if make else None


_HARMLESS: dict[type, Callable[[], Any]] = {
    inspect.StrType: str,
    inspect.CustomType: Secret,
    inspect.DictType: dict,
    inspect.ListType: list,
    inspect.BoolType: bool,
    inspect.IntType: lambda: 1,
    inspect.FloatType: lambda: 1.0,
}


def _bounded(kind: inspect.IntType | inspect.FloatType, value: _Number, raw: Any) -> _Number:
    """Return `value` if it is within the bounds of its kind."""
    for bound, is_out, words in (
        (kind.ge, operator.lt, "at least"),
        (kind.gt, operator.le, "more than"),
        (kind.le, operator.gt, "at most"),
    ):
        if bound is not None and is_out(value, bound):
            raise _Wrong(f"must be {words} {bound}, found {_shown(raw)}")
    return value


def _expect(raw: Any, kind: type, what: str) -> Any:
    """Return `raw` if it is a `kind`; otherwise tell its kind only: it may be a secret."""
    if not isinstance(raw, kind):
        raise _Wrong(f"must be {what}, found {_KINDS.get(type(raw), 'a date or time')}")
    return raw


def _shown(raw: Any) -> str:
    if isinstance(raw, str):
        return quote(raw)
    if isinstance(raw, (bool, int, float)):
        return json.dumps(raw)[:_SHOWN_CHARACTERS]
    return _KINDS.get(type(raw), "a date or time")
