"""On which line each value of a JSON or TOML text stands.

The standard library reads both without telling places. As it has already accepted the text, a
walk over its tokens is enough here: brackets, separators, texts, words.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import NamedTuple

from proxy.config.problems import Place

_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}=,:.\n]"
    r"|[^\s\[\]{}=,:.\"'\#]+",
    re.DOTALL,
)


class Lines(NamedTuple):
    """What was found.

    Attributes:
        lines: of every place, counted from 1.
        doubles: places given twice, with the line of the second.
    """

    lines: dict[Place, int]
    doubles: list[tuple[Place, int]]


class _Token(NamedTuple):
    text: str
    line: int


def of_json(text: str) -> Lines:
    """Return the lines of a text that is JSON."""
    walk = _Walk(text, ":", skip_newlines=True)
    if walk.token:
        walk.value(())
    return Lines(walk.lines, walk.doubles)


def of_toml(text: str) -> Lines:
    """Return the lines of a text that is TOML."""
    walk = _Walk(text, "=", skip_newlines=False)
    table: Place = ()
    while walk.token:
        if walk.token.text == "[":
            table = _table(walk)
        elif walk.token.text == "\n":
            walk.take()
        else:
            walk.pair(table)
    return Lines(walk.lines, [])


def _table(walk: _Walk) -> Place:
    """Take `[a.b]` or `[[a.b]]` and return its place, with numbers for tables in a list."""
    line = walk.take().line
    is_list = walk.token is not None and walk.token.text == "["
    if is_list:
        walk.take()
    place = walk.inside_lists(walk.key("]"))
    if is_list:
        walk.take()
        count = walk.counts[place] = walk.counts.get(place, 0) + 1
        place = (*place, count - 1)
    walk.mark(place, line)
    return place


class _Walk:
    """Goes once through the tokens of a valid text."""

    def __init__(self, text: str, separator: str, *, skip_newlines: bool) -> None:
        self.lines: dict[Place, int] = {}
        self.doubles: list[tuple[Place, int]] = []
        self.counts: dict[Place, int] = {}
        self._separator = separator
        self._tokens = _tokens(text, skip_newlines)
        self._next = 0

    @property
    def token(self) -> _Token | None:
        """The token to be taken next; None at the end."""
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def take(self) -> _Token:
        """Take one token."""
        token = self._tokens[self._next]
        self._next += 1
        return token

    def pair(self, table: Place) -> None:
        """Take a key, its separator and its value."""
        line = self._tokens[self._next].line
        place = (*table, *self.key(self._separator))
        if place in self.lines:
            self.doubles.append((place, line))
        self.mark(place, line)
        self.value(place)

    def mark(self, place: Place, line: int) -> None:
        """Note the line of `place`, and of what it is in where that has none."""
        for end in range(1, len(place) + 1):
            self.lines.setdefault(place[:end], line)

    def key(self, end: str) -> Place:
        """Take a key, dotted or quoted, and the sign behind it."""
        steps: list[str] = []
        while (token := self.take()).text != end:
            if token.text != ".":
                steps.append(_unquoted(token.text))
        return tuple(steps)

    def inside_lists(self, place: Place) -> Place:
        """Return `place` with the number of the last element where a step is a list of tables."""
        found: Place = ()
        for step in place:
            if found in self.counts:
                found = (*found, self.counts[found] - 1)
            found = (*found, step)
        return found

    def value(self, place: Place) -> None:
        """Take a value and note the lines of what is in it."""
        self._newlines()
        token = self.take()
        self.lines.setdefault(place, token.line)
        if token.text == "{":
            self._members("}", place)
        elif token.text == "[":
            self._members("]", place)
        else:
            self._rest_of_scalar()

    def _members(self, end: str, place: Place) -> None:
        number = 0
        while True:
            self._newlines()
            if self._at(end):
                self.take()
                return
            if self._at(","):
                self.take()
            elif end == "}":
                self.pair(place)
            else:
                self.value((*place, number))
                number += 1

    def _rest_of_scalar(self) -> None:
        """Take what the tokens tore apart: 1.5, a time of day."""
        while self.token and self.token.text not in ("\n", ",", "]", "}"):
            self.take()

    def _newlines(self) -> None:
        while self._at("\n"):
            self.take()

    def _at(self, text: str) -> bool:
        return self.token is not None and self.token.text == text


def _tokens(text: str, skip_newlines: bool) -> list[_Token]:
    found, line, position = [], 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        token = match[0]
        if not (token.startswith("#") or (skip_newlines and token == "\n")):
            found.append(_Token(token, line))
    return found


def _unquoted(key: str) -> str:
    if key.startswith("'"):
        return key[1:-1]
    if key.startswith('"'):
        try:
            return str(json.loads(key))
        except ValueError:  # TOML alone has \U and \e
            return str(tomllib.loads(f"key = {key}")["key"])
    return key
