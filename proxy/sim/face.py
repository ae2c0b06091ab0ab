"""The contract of a format: routes to operations, and how an error is worded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from proxy.sim.behaviour import Behaviour, from_name
from proxy.sim.files import Files
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer

T = TypeVar("T")


class Inquiry(NamedTuple):
    """One HTTP request.

    Attributes:
        path: without the query, percent signs decoded.
        query: as it came.
        content_type: empty where none was sent.
        arguments: what the route's pattern caught of the path.
    """

    method: str
    path: str
    query: str
    content_type: str
    body: bytes
    arguments: Mapping[str, str] = {}

    def read(self, kind: type[T]) -> T:
        """Decode a JSON body.

        Raises:
            Refusal: 400, it is no JSON or has another shape.
        """
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            found = re.search(r"`\$\.(.+)`$", str(error))
            raise Refusal(400, str(error), param=found.group(1) if found else None) from None


class World:
    """What outlives a request: uploaded files and stored answers, all in memory.

    Attributes:
        options: how the simulator behaves where a name says nothing.
        created: Unix time in seconds that answers carry.
        stored: answers that can be asked for again, by id; the oldest leave first.
    """

    MAX_STORED = 1000

    def __init__(self, options: Behaviour, created: int) -> None:
        self.options = options
        self.created = created
        self.files = Files()
        self.stored: dict[str, dict[str, Any]] = {}
        self._ids = 0

    def behaviour(self, model: str) -> Behaviour:
        """Return what a model's name asks for.

        Raises:
            Refusal: 400, the name has an unknown key or a wrong value.
        """
        try:
            return from_name(model, self.options)
        except ValueError as error:
            raise Refusal(400, f"model: {error}", param="model") from None

    def next_id(self, prefix: str) -> str:
        """Return an id nobody had before."""
        self._ids += 1
        return f"{prefix}{self._ids:024x}"

    def store(self, document: dict[str, Any]) -> None:
        """Keep an answer under its id."""
        self.stored[document["id"]] = document
        if len(self.stored) > self.MAX_STORED:
            del self.stored[next(iter(self.stored))]


Operation = Callable[[Inquiry, World], Answer]


class Route(NamedTuple):
    """A method and a path, `{name}` for one segment, `{name*}` for the rest of it."""

    method: str
    path: str
    operation: Operation


class Face(NamedTuple):
    """A vendor's format.

    Attributes:
        error: words a refusal as an error body.
    """

    routes: Sequence[Route]
    error: Callable[[Refusal], bytes]


class Routes:
    """Finds the operation for a method and a path."""

    def __init__(self, faces: Sequence[Face]) -> None:
        self._exact: dict[tuple[str, str], tuple[Face, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], Face, Route]] = []
        for face in faces:
            for route in face.routes:
                if "{" in route.path:
                    self._patterns.append((_pattern(route.path), face, route))
                else:
                    self._exact[route.method, route.path] = (face, route)

    def find(self, method: str, path: str) -> tuple[Face, Operation, Mapping[str, str]]:
        """Return the format, the operation and what the pattern caught.

        Raises:
            Refusal: 404 or 405.
        """
        if found := self._exact.get((method, path)):
            return found[0], found[1].operation, {}
        allowed = {verb for verb, known in self._exact if known == path}
        for pattern, face, route in self._patterns:
            if match := pattern.fullmatch(path):
                if route.method == method:
                    return face, route.operation, match.groupdict()
                allowed.add(route.method)
        if allowed:
            refusal = Refusal(405, f"{path} allows {', '.join(sorted(allowed))}, not {method}.")
            refusal.headers = [("allow", ", ".join(sorted(allowed)))]
            raise refusal
        raise Refusal(404, f"Invalid URL ({method} {path})")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)(\*?)\}", path)
    made = [re.escape(parts[0])]
    for name, rest, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        made.append(f"(?P<{name}>{'.+' if rest else '[^/]+'}){re.escape(literal)}")
    return re.compile("".join(made))
