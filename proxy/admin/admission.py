"""Who may use the administration.

Clients' keys with `admin: true`. Where the configuration has no keys at all and the gateway
listens on loopback only, whoever sits at this machine may: but not a page that a browser here
has open, and nothing that came through a proxy.

Source: https://fetch.spec.whatwg.org/#origin-header (2026-11-26)
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from proxy.addresses import is_loopback
from proxy.config.structs import Config
from proxy.errors import InvalidApiKey, NotAllowed
from proxy.exchange import ANYONE, ClientKey
from proxy.keys import Keyring, presented

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "via")


def admit(config: Config, keys: Keyring, headers: Mapping[str, str], peer: str) -> ClientKey:
    """Return who asks.

    Args:
        config: says where we listen.
        keys: of the configuration.
        headers: names in lower case.
        peer: the address that the connection comes from.

    Raises:
        InvalidApiKey: no key was sent, or nobody has it.
        NotAllowed: the key is no admin's, or there are no keys and this is not the machine itself.
    """
    if not len(keys):
        if is_loopback(config.server.host) and is_loopback(peer) and _local(headers):
            return ANYONE
        raise NotAllowed("without keys, the administration answers this machine alone")
    secret = presented(headers)
    key = keys.find(secret) if secret else None
    if key is None:
        error = InvalidApiKey("send an admin's key as `authorization: Bearer <key>`")
        error.headers["www-authenticate"] = "Bearer"  # RFC 9110 section 11.6.1
        raise error
    if not key.admin:
        raise NotAllowed(f"the key {key.name!r} is no admin's (`admin: true`)")
    return key


def _local(headers: Mapping[str, str]) -> bool:
    """Whether a request was made for this machine by a program on it.

    The host's name keeps out pages whose name leads here (DNS rebinding), the origin keeps out
    pages of other sites.
    """
    if any(name in headers for name in _FORWARDED):
        return False
    origin = headers.get("origin")
    hosts = [f"//{headers.get('host', '')}", *([origin] if origin is not None else [])]
    return all(is_loopback(_hostname(host)) for host in hosts)


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
