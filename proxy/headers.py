"""Which headers travel through the gateway, and in which direction.

Everything end-to-end goes through but what would leak: the client's key, cookies, what
names the operator's account at a vendor. Hop-by-hop fields belong to one connection.

Source: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from proxy.adapter import Headers, header

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
CLIENT_KEYS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
"""Where a client may put its key; none of them is ever sent on."""

_ACCOUNT = re.compile(r".*-(?:(?:organization|project|workspace)(?:-id)?|account-id|bill-to)")
_OURS = frozenset({"content-length", "x-request-id"})
_NOT_UPSTREAM = (
    HOP_BY_HOP
    | CLIENT_KEYS
    | _OURS
    | {"host", "expect", "cookie", "forwarded", "via", "x-real-ip"}
    | {"cf-connecting-ip", "true-client-ip", "x-client-ip"}
    | {"x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}  # of the client's signature
)
_NOT_UPSTREAM_PREFIXES = ("x-headgate-", "x-forwarded-", "sec-websocket-")
_NOT_TO_CLIENT = (
    HOP_BY_HOP
    | _OURS
    | {"date", "server", "set-cookie", "alt-svc", "strict-transport-security", "nel"}
    | {"report-to", "x-should-retry"}
)
_NOT_TO_CLIENT_PREFIXES = ("x-headgate-", "x-ratelimit-", "cf-", "access-control-")
_REWRITTEN = frozenset({"accept-encoding", "content-type", "accept"})
_DECODED = frozenset({"content-encoding", "content-type"})
_LIST = "-beta"
"""How headers end whose value is a list of features, each of which means something by itself."""


def to_upstream(headers: Mapping[str, str], *, rewritten: bool = False) -> list[tuple[str, str]]:
    """Return the client's headers that the vendor may see.

    Args:
        headers: names in lower case.
        rewritten: the body is one the gateway builds and reads itself, so what describes
            its encoding is not the client's to say.
    """
    kept = [pair for pair in headers.items() if _goes_up(pair[0], rewritten)]
    return _recoded(_without(kept, headers.get("connection")), "utf-8", "latin-1")


def to_client(headers: Headers, *, decoded: bool = False) -> list[tuple[str, str]]:
    """Return the vendor's headers that the client may see.

    Args:
        headers: names in lower case.
        decoded: the body goes out in another encoding or form than it came.
    """
    kept = [pair for pair in headers if _goes_down(pair[0], decoded)]
    return _recoded(_without(kept, header(headers, "connection")), "latin-1", "utf-8")


def together(ours: Headers, theirs: Headers) -> list[tuple[str, str]]:
    """Return our headers and the client's; of one that both have, ours unless it is a list."""
    mine = dict(ours)
    lists = {name: value for name, value in theirs if name in mine and name.endswith(_LIST)}
    headers = [(name, _joined(value, lists.get(name))) for name, value in ours]
    return [*headers, *(pair for pair in theirs if pair[0] not in mine)]


def _joined(value: str, more: str | None) -> str:
    if more is None:
        return value
    both = [each.strip() for each in f"{value},{more}".split(",")]
    return ",".join(dict.fromkeys(each for each in both if each))


def _without(pairs: list[tuple[str, str]], connection: str | None) -> list[tuple[str, str]]:
    """Leave out what `connection` declares its own (RFC 9110 section 7.6.1)."""
    if connection is None or connection.lower() in ("keep-alive", "close"):
        return pairs
    own = {name.strip().lower() for name in connection.split(",")}
    return [pair for pair in pairs if pair[0] not in own]


def _recoded(pairs: list[tuple[str, str]], read_as: str, written_as: str) -> list[tuple[str, str]]:
    """Keep the bytes of values that are not ASCII.

    The client's side of the network takes them for UTF-8, the vendor's for Latin-1, and HTTP
    for neither.
    """
    if all(value.isascii() for _, value in pairs):
        return pairs
    return [
        (name, value.encode(read_as, "surrogateescape").decode(written_as, "surrogateescape"))
        for name, value in pairs
    ]


# Clients and vendors send the same names again and again; foreign ones only push others out.


@lru_cache(maxsize=1024)
def _goes_up(name: str, rewritten: bool) -> bool:
    return not (
        name in _NOT_UPSTREAM
        or name.startswith(_NOT_UPSTREAM_PREFIXES)
        or (rewritten and name in _REWRITTEN)
        or _ACCOUNT.fullmatch(name)
    )


@lru_cache(maxsize=1024)
def _goes_down(name: str, decoded: bool) -> bool:
    return not (
        name in _NOT_TO_CLIENT
        or name.startswith(_NOT_TO_CLIENT_PREFIXES)
        or (decoded and name in _DECODED)
        or _ACCOUNT.fullmatch(name)
    )
