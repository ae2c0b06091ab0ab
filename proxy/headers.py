"""Which headers travel through the gateway, and in which direction.

Everything end-to-end goes through but what would leak: the client's key, cookies, what
names the operator's account at a vendor. Hop-by-hop fields belong to one connection.

Source: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from proxy.adapter import Headers

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

_ACCOUNT = frozenset({"openai-organization", "openai-project"})
_OURS = frozenset({"content-length", "x-request-id"})
_NOT_UPSTREAM = (
    HOP_BY_HOP
    | CLIENT_KEYS
    | _ACCOUNT
    | _OURS
    | {"host", "expect", "cookie", "forwarded", "via", "x-real-ip"}
)
_NOT_UPSTREAM_PREFIXES = ("x-headgate-", "x-forwarded-", "sec-websocket-")
_NOT_TO_CLIENT = (
    HOP_BY_HOP
    | _ACCOUNT
    | _OURS
    | {"date", "server", "set-cookie", "alt-svc", "strict-transport-security", "nel"}
    | {"report-to", "x-should-retry"}
)
_NOT_TO_CLIENT_PREFIXES = ("x-headgate-", "cf-", "access-control-")
_REWRITTEN = frozenset({"accept-encoding", "content-type", "accept"})
_DECODED = frozenset({"content-encoding", "content-type"})


def to_upstream(headers: Mapping[str, str], *, rewritten: bool = False) -> list[tuple[str, str]]:
    """Return the client's headers that the vendor may see.

    Args:
        headers: names in lower case.
        rewritten: the body is one the gateway builds and reads itself, so what describes
            its encoding is not the client's to say.
    """
    kept = [pair for pair in headers.items() if _goes_up(pair[0], rewritten)]
    nominated = headers.get("connection")
    if nominated is None or nominated == "keep-alive":
        return kept
    dropped = {name.strip().lower() for name in nominated.split(",")}  # RFC 9110 section 7.6.1
    return [pair for pair in kept if pair[0] not in dropped]


def to_client(headers: Headers, *, decoded: bool = False) -> list[tuple[str, str]]:
    """Return the vendor's headers that the client may see.

    Args:
        headers: names in lower case.
        decoded: the body goes out in another encoding or form than it came.
    """
    return [pair for pair in headers if _goes_down(pair[0], decoded)]


# Clients and vendors send the same names again and again; foreign ones only push others out.


@lru_cache(maxsize=1024)
def _goes_up(name: str, rewritten: bool) -> bool:
    return not (
        name in _NOT_UPSTREAM
        or name.startswith(_NOT_UPSTREAM_PREFIXES)
        or (rewritten and name in _REWRITTEN)
    )


@lru_cache(maxsize=1024)
def _goes_down(name: str, decoded: bool) -> bool:
    return not (
        name in _NOT_TO_CLIENT
        or name.startswith(_NOT_TO_CLIENT_PREFIXES)
        or (decoded and name in _DECODED)
    )
