"""Whether a configured condition holds of an exchange: compiled once, asked for each request.

Whatever a client sends is only looked at: what is missing or of another type does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from proxy.config.clauses import Clause, clause, pattern
from proxy.config.resilience import Condition
from proxy.exchange import Exchange
from proxy.kinds import task
from proxy.patches import Pointer, pointer
from proxy.wire import Request

Test = Callable[[Exchange], bool]
Text = Callable[[Exchange], str | None]


def compile_condition(settings: Condition) -> Test:
    """Return what says whether all that `settings` ask for holds of an exchange.

    Raises:
        ValueError: a pointer or a comparison is none.
    """
    tests = tuple(_tests(settings))
    if len(tests) == 1:
        return tests[0]
    return lambda exchange: all(test(exchange) for test in tests)


def describe(settings: Condition) -> str:
    """Return a condition in one line."""
    said = [f"header {name} is {value}" for name, value in settings.header.items()]
    said += [f"tag {name} is {value}" for name, value in settings.tag.items()]
    said += [f"{where} is {value}" for where, value in settings.body.items()]
    for what in ("key", "team", "task"):
        if names := getattr(settings, what):
            said.append(f"{what} is {' or '.join(names)}")
    return " and ".join(said)


def _tests(settings: Condition) -> Iterator[Test]:
    """Yield the single tests, the cheap ones first."""
    for name, wanted in settings.header.items():
        yield _one_of([wanted], _header(name.lower()))
    for name, wanted in settings.tag.items():
        yield _one_of([wanted], _tag(name))
    if settings.key:
        yield _one_of(settings.key, lambda exchange: exchange.key.name)
    if settings.team:
        yield _one_of(settings.team, lambda exchange: exchange.key.team)
    for where, wanted in settings.body.items():
        yield _member(pointer(where), clause(wanted))
    if settings.task:
        yield _one_of(settings.task, task)


def _one_of(patterns: list[str], text: Text) -> Test:
    matches = [pattern(each) for each in patterns]

    def holds(exchange: Exchange) -> bool:
        value = text(exchange)
        return value is not None and any(match(value) for match in matches)

    return holds


def _header(name: str) -> Text:
    return lambda exchange: exchange.headers.get(name)


def _tag(name: str) -> Text:
    return lambda exchange: exchange.tags.get(name)


def _member(where: Pointer, fits: Clause) -> Test:
    def holds(exchange: Exchange) -> bool:
        return fits(_value(exchange.request, where))

    return holds


def _value(request: Request | None, where: Pointer) -> Any:
    """Return what stands at a place of the body; None where nothing does."""
    first, *rest = where
    raw = request.raw(first) if request is not None else None
    if raw is None:
        return None
    try:
        value = msgspec.json.decode(raw)
        for step in rest:
            value = value[int(step)] if isinstance(value, list) else value[step]
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, RecursionError):
        return None
    return value
