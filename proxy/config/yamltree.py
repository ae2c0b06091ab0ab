"""YAML to plain values, by the rules people expect.

The parser is libyaml's; what a plain word means is decided here by YAML 1.2's core schema, so
`no` is a text, `1:30` is no number of seconds and `2024-01-01` is no date. Keys are always texts.

Source: https://yaml.org/spec/1.2.2/#103-core-schema (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from proxy.config.problems import Place

_TAG = "tag:yaml.org,2002:"
_DEEPEST = 64
_MOST_NODES = 1_000_000
_MERGE = "<<"

_RESOLVERS = [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
]

_Members = dict[str, tuple[yaml.Node, yaml.Node]]

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # libyaml's or, without it, Python's
    """Composes nodes; what plain words mean is the core schema's."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # the base class looks it up here


for _name, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), _first)


class Tree:
    """A document as values and lines.

    Attributes:
        value: mappings, lists, texts, numbers, booleans, None.
        lines: of every place, counted from 1.
        doubles: places given twice, with the line of the second.
    """

    def __init__(self, root: yaml.Node | None) -> None:
        self.lines: dict[Place, int] = {}
        self.doubles: list[tuple[Place, int]] = []
        self._members: dict[int, _Members] = {}
        self.value = None if root is None else self._value(root, (), root)

    def _value(self, node: yaml.Node, place: Place, at: yaml.Node) -> Any:
        """Return the value of `node`, which stands where `at` does (an alias is elsewhere)."""
        if len(place) > _DEEPEST or len(self.lines) > _MOST_NODES:
            raise yaml.MarkedYAMLError(problem="too much nesting", problem_mark=at.start_mark)
        self.lines.setdefault(place, at.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self._value(item, (*place, i), item) for i, item in items]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        seen: set[str] = set()
        for name, key, _ in _own(node):
            if name in seen:
                self.doubles.append(((*place, name), key.start_mark.line + 1))
            seen.add(name)
        members = self._flat(node).items()
        return {name: self._value(value, (*place, name), key) for name, (key, value) in members}

    def _flat(self, node: yaml.MappingNode) -> _Members:
        """Return a mapping's members with what `<<` brings; its own are stronger."""
        known = self._members.get(id(node))
        if known is not None:
            return known
        found: _Members = {name: (key, value) for name, key, value in _own(node)}
        self._members[id(node)] = found
        for other in _merged(node):
            for name, member in self._flat(other).items():
                found.setdefault(name, member)
        return found


def parse(text: str) -> Tree:
    """Return the only document in `text`.

    Raises:
        yaml.YAMLError: it is no YAML, has several documents, or tags that are not understood.
    """
    loader = _Loader(text)
    try:
        return Tree(loader.get_single_node())
    finally:
        loader.dispose()


def _own(node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Yield name, key and value of what stands in a mapping itself."""
    for key, value in node.value:
        if not _is_merge(key):
            yield _key(key), key, value


def _merged(node: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
    """Yield the mappings that `<<` brings into one, the strongest first."""
    for key, value in node.value:
        if not _is_merge(key):
            continue
        for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(other, yaml.MappingNode):
                mark = value.start_mark
                raise yaml.MarkedYAMLError(problem="<< takes mappings", problem_mark=mark)
            yield other


def _is_merge(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == _MERGE and not key.style


def _key(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    raise yaml.MarkedYAMLError(problem="a key must be a text", problem_mark=node.start_mark)


def _scalar(node: yaml.Node) -> Any:
    build = _SCALARS.get(node.tag.removeprefix(_TAG))
    try:
        if build is not None:
            return build(node.value)
    except ValueError:
        pass  # an explicit tag on a text that does not fit it, such as !!int word
    problem = f"{node.tag} is not understood here"
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _int(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _int,
    "float": _float,
    "str": str,
}
