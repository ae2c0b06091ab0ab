"""The kinds of value a configuration has besides plain text and numbers.

`Duration` and `Size` are a plain float and int for the code that reads them; the mark in
`Meta.extra` tells `convert` and `schema` that a file may write `30s` or `32MiB`.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from msgspec import Meta

_Value = TypeVar("_Value")

_YEAR_S = 366 * 86400

Count = Annotated[int, Meta(ge=1)]
"""How many, one at least."""

CountOrZero = Annotated[int, Meta(ge=0)]
"""How many, perhaps none."""

Duration = Annotated[float, Meta(gt=0, le=_YEAR_S, extra={"kind": "duration"})]
"""Seconds, more than none."""

DurationOrZero = Annotated[float, Meta(ge=0, le=_YEAR_S, extra={"kind": "duration"})]
"""Seconds, where none has a meaning of its own."""

Size = Annotated[int, Meta(ge=1, le=2**50, extra={"kind": "size"})]
"""Bytes."""

Money = Annotated[int, Meta(ge=0, le=10**15, extra={"kind": "money"})]
"""Millionths of a dollar."""

Share = Annotated[float, Meta(gt=0, le=1, extra={"kind": "share"})]
"""A part of one, more than none: a file may write `5%`."""

ShareOrNone = Annotated[float, Meta(ge=0, le=1, extra={"kind": "share"})]
"""A part of one, perhaps none."""

Rate = Annotated[float, Meta(gt=0, le=10**12, extra={"kind": "rate"})]
"""So many a minute: a file may write `600/m`, `10/s` or `5000/h`."""

Patterns = Annotated[list[str], Meta(extra={"kind": "patterns"})]
"""Names, * and ? allowed; a file may write a single one without the list."""

Path = Annotated[str, Meta(extra={"kind": "path"})]
"""A file of this machine; where it is relative, it starts at the configuration's folder."""


class Secret:
    """A text that must not be seen: printed, formatted or logged it is `***`."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class Veiled(dict[str, _Value]):
    """A mapping whose values may be secrets, such as headers: printed, it shows its keys only."""

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{key!r}: ***" for key in self) + "}"


Headers = Annotated[dict[str, str], Meta(extra={"kind": "headers"})]
"""Names in lower case and values; a `Veiled` mapping once loaded."""

Options = Annotated[dict[str, Any], Meta(extra={"kind": "options"})]
"""Whatever an adapter or a plugin takes; a `Veiled` mapping once loaded."""
