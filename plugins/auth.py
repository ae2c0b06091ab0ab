"""Let in the clients whose key is known.

SDKs send the key in different places: as a bearer token, in a header of their vendor's,
and from browsers, which cannot set headers on a websocket, among its subprotocols. The
first place that holds a key counts.
"""

from __future__ import annotations

from proxy.errors import InvalidApiKey
from proxy.exchange import Exchange
from proxy.hooks import Plugin
from proxy.keys import Keyring, presented
from proxy.wire import Response

_MISSING = (
    "no API key was sent; send it as `authorization: Bearer <key>` "
    "(`x-api-key`, `api-key` and `x-goog-api-key` are read too)"
)
_UNKNOWN = "this API key is not known here; a key of a vendor is not a key of this gateway"


class Auth(Plugin):
    """Names the client, or refuses it; without any key configured it refuses all.

    Args:
        keys: lent by the gateway, not an option.
    """

    name = "auth"

    def __init__(self, *, keys: Keyring) -> None:
        self._find = keys.find

    async def pre(self, exchange: Exchange) -> Response | None:
        """Find the client's key and note whose it is.

        Raises:
            InvalidApiKey: none was sent, or nobody has it.
        """
        secret = presented(exchange.headers)
        key = self._find(secret) if secret else None
        if key is None:
            error = InvalidApiKey(_UNKNOWN if secret else _MISSING)
            error.headers["www-authenticate"] = "Bearer"  # RFC 9110 section 11.6.1
            raise error
        exchange.key = key
        return None
