"""What is wrong with a configuration: every mistake, each in one line that says how to mend it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

Place = tuple[str | int, ...]
"""Where something stands in a configuration: ("routes", "fast", "deployments", 1)."""

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NAMES_SHOWN = 20
_NAMES_COMPARED = 1000
_SHOWN_CHARACTERS = 100


class Problem(NamedTuple):
    """One mistake.

    Attributes:
        file: as the user called it; "environment" where no file was read.
        line: counted from 1; None or 0 where it is unknown.
        path: `routes.fast.deployments[1].provider`; empty for the file as a whole.
        message: what was found, what is allowed, what is nearest.
    """

    file: str
    line: int | None
    path: str
    message: str

    def render(self) -> str:
        """Return the one line: file, line, path, message."""
        place = self.file if not self.line else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """A configuration that cannot be used.

    Attributes:
        problems: all of them, in the order of the file.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def render(self) -> str:
        """Return one line a mistake."""
        return "\n".join(problem.render() for problem in self.problems)

    def __str__(self) -> str:
        return self.render()


class Report:
    """Collects the mistakes of one file, so that all are told at once.

    Of several mistakes along one path only the first is kept: the others follow from it.
    """

    def __init__(self, file: str, lines: Mapping[Place, int] | None = None) -> None:
        self._file = file
        self._lines = lines or {}
        self._problems: dict[Place, Problem] = {}

    def add(self, place: Place, message: str, line: int | None = None) -> None:
        """Note that what stands at `place` is wrong; the line is known or given."""
        if not self.spoiled(place):
            line = line or self._line(place)
            self._problems[place] = Problem(self._file, line, render_place(place), message)

    def spoiled(self, place: Place) -> bool:
        """Tell whether a mistake is known here or in what this is a part of."""
        return any(place[:end] in self._problems for end in range(len(place) + 1))

    def check(self) -> None:
        """Do nothing if there is no mistake.

        Raises:
            ConfigError: with all of them, in the order of the file.
        """
        if self._problems:
            raise ConfigError(sorted(self._problems.values(), key=lambda p: p.line or 0))

    def _line(self, place: Place) -> int | None:
        for end in range(len(place), -1, -1):
            if place[:end] in self._lines:
                return self._lines[place[:end]]
        return None


def render_place(place: Place) -> str:
    """Return `routes.fast.deployments[1]`; names with other signs as `routes["gpt-4*"]`."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _BARE.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{quote(step)}]"
    return text


def quote(text: str) -> str:
    """Return `text` in quotation marks, on one line and not too long."""
    short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + '"'


def unknown(name: str, what: str, allowed: Collection[str], group: str) -> str:
    """Say that `name` is not `what`, which is nearest, and what the `group` holds."""
    if not allowed:
        return f"{quote(name)} is not {what} (there are no {group})"
    names = list(allowed)
    near = difflib.get_close_matches(name, names[:_NAMES_COMPARED], n=1)
    meant = f"; did you mean {quote(near[0])}?" if near else ""
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{quote(name)} is not {what}{meant} ({group}: {', '.join(names[:_NAMES_SHOWN])}{more})"
