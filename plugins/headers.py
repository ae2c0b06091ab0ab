"""Set and remove headers, of the request before it is routed and of the answer.

What a connection needs for itself and what carries keys is not to be had here: the first
would break the connection, and credentials belong under `providers`, where they are kept
out of logs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from proxy.exchange import Exchange
from proxy.headers import CLIENT_KEYS, HOP_BY_HOP
from proxy.hooks import Plugin
from proxy.wire import Response

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_REFUSED = HOP_BY_HOP | CLIENT_KEYS | {"content-length", "host", "x-request-id"}


class Headers(Plugin):
    """Changes headers in both directions.

    Args:
        request: `{set: {name: value}, remove: [name]}`, for what the vendor gets.
        response: the same, for what the client gets.
    """

    name = "headers"

    def __init__(
        self,
        request: Mapping[str, Any] | None = None,
        response: Mapping[str, Any] | None = None,
    ) -> None:
        self._request_set, self._request_remove = _read("request", request or {})
        self._response_set, self._response_remove = _read("response", response or {})

    async def pre(self, exchange: Exchange) -> Response | None:
        """Change the request's headers, and note those of any answer."""
        for name in self._request_remove:
            exchange.headers.pop(name, None)
        exchange.headers.update(self._request_set)
        if self._response_set or self._response_remove:
            exchange.response_removed |= self._response_remove
            exchange.response_headers[:] = [
                pair
                for pair in exchange.response_headers
                if pair[0] not in self._response_remove and pair[0] not in self._response_set
            ]
            exchange.response_headers += self._response_set.items()
        return None


def _read(side: str, rules: Mapping[str, Any]) -> tuple[dict[str, str], frozenset[str]]:
    """Check one side's rules.

    Raises:
        TypeError, ValueError: a rule is not one; the message says which.
    """
    if not isinstance(rules, Mapping) or not set(rules) <= {"set", "remove"}:
        raise TypeError(f"`{side}` takes `set` and `remove`")
    wanted, removed = rules.get("set") or {}, rules.get("remove") or []
    if not isinstance(wanted, Mapping):
        raise TypeError(f"`{side}.set` maps names to values")
    if not isinstance(removed, list | tuple):
        raise TypeError(f"`{side}.remove` is a list of names")
    values = {_name(side, name): _value(name, value) for name, value in wanted.items()}
    names = frozenset(_name(side, name) for name in removed)
    if both := names & set(values):
        raise ValueError(f"`{side}` both sets and removes {', '.join(sorted(both))}")
    return values, names


def _name(side: str, name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name.lower()):
        raise ValueError(f"{name!r} under `{side}` is no name of a header")
    if name.lower() in _REFUSED:
        raise ValueError(f"the header {name} under `{side}` is not to be changed here")
    return name.lower()


def _value(name: str, value: object) -> str:
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name} must be one line of ASCII text")
    return value.strip()
