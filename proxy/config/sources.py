"""Configuration files as plain values, with the line each of them stands on.

YAML, JSON and TOML give the same tree of mappings, lists, texts, numbers, booleans and None;
nobody further on can tell which it was.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml

from proxy.config import lines, yamltree
from proxy.config.problems import ConfigError, Place, Problem

_LARGEST_BYTES = 64 * 1024 * 1024
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class Source(NamedTuple):
    """What a file says.

    Attributes:
        file: as the user called it.
        tree: its values; a mapping, if the file is right.
        lines: where they stand, counted from 1; not every place has to be in it.
        doubles: places that are given more than once, with the line of the second.
    """

    file: str
    tree: Any
    lines: dict[Place, int]
    doubles: list[tuple[Place, int]]


def read(file: str) -> Source:
    """Return what `file` says; its extension tells the language.

    Raises:
        ConfigError: it cannot be read, or breaks the rules of its language.
    """
    parse = _LANGUAGES.get(Path(file).suffix.lower())
    if parse is None:
        raise _broken(file, None, f"the name must end in {', '.join(_LANGUAGES)}")
    try:
        return parse(file, _text(file))
    except RecursionError:
        raise _broken(file, None, "it is nested too deeply") from None


def _text(file: str) -> str:
    try:
        with open(file, "rb") as stream:
            raw = stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise _broken(file, None, f"cannot be read: {error.strerror}") from error
    if len(raw) > _LARGEST_BYTES:
        raise _broken(file, None, f"it is larger than {_LARGEST_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _broken(file, line, "it is not in UTF-8") from error


def _yaml(file: str, text: str) -> Source:
    try:
        tree = yamltree.parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _broken(file, mark.line + 1 if mark else None, _sentence(error)) from error
    except yaml.YAMLError as error:
        raise _broken(file, None, "it has characters that YAML does not allow") from error
    return Source(file, tree.value, tree.lines, tree.doubles)


def _json(file: str, text: str) -> Source:
    try:
        tree = json.loads(text, parse_constant=_no_constant) if text.strip() else None
    except json.JSONDecodeError as error:
        raise _broken(file, error.lineno, f"no JSON: {error.msg}") from error
    except ValueError as error:
        raise _broken(file, None, f"no JSON: {error}") from error
    found = lines.of_json(text)
    return Source(file, tree, found.lines, found.doubles)


def _toml(file: str, text: str) -> Source:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        message = _TOML_PLACE.sub("", str(error))
        raise _broken(file, line, f"no TOML: {message}") from error
    return Source(file, tree, lines.of_toml(text).lines, [])


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _sentence(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return f"no YAML: {', '.join(parts)}"


def _broken(file: str, line: int | None, message: str) -> ConfigError:
    return ConfigError([Problem(file, line, "", message)])


_LANGUAGES: dict[str, Callable[[str, str], Source]] = {
    ".yaml": _yaml,
    ".yml": _yaml,
    ".json": _json,
    ".toml": _toml,
}
