"""Access tokens of Google Cloud, by the package google-auth.

The package is loaded when a provider needs it and not before. It blocks while it asks for a
token, so it is asked in a thread, by one request at a time: the others wait for its token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import msgspec

from proxy.adapter import Authorizer, Headers, Send, UpstreamRequest
from proxy.errors import UpstreamAuth

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

_TIMEOUT_S = 10.0
_KINDS = {
    "service_account": ("google.oauth2.service_account", "from_service_account_info"),
    "authorized_user": ("google.oauth2.credentials", "from_authorized_user_info"),
    "external_account": ("google.auth.identity_pool", "from_info"),
}
"""What a key file may be, and what reads it."""


class Tokens:
    """Keeps one access token and asks for the next one shortly before it expires."""

    signs_body = False
    base_url = ""

    def __init__(
        self,
        load: Callable[[], Any],
        transport: Callable[..., Any],
        failures: tuple[type[Exception], ...],
        project: str | None = None,
    ) -> None:
        """Ask for nothing yet.

        Args:
            load: makes google-auth's credentials; may block.
            transport: makes google-auth's requests; blocks.
            failures: what either may raise.
            project: the project that is billed, where it is not the credentials' own.
        """
        self._load = load
        self._transport = transport
        self._failures = failures
        self._billed: Headers = (("x-goog-user-project", project),) if project else ()
        self._credentials: Any = None
        self._lock = asyncio.Lock()

    async def headers(self, request: UpstreamRequest, url: str) -> Headers:
        """Return the bearer header.

        Raises:
            UpstreamAuth: Google gives no token, or not in time.
        """
        if not self._is_fresh():
            async with self._lock:
                if not self._is_fresh():
                    await self._renew()
        return (("authorization", f"Bearer {self._credentials.token}"), *self._billed)

    def _is_fresh(self) -> bool:
        return self._credentials is not None and self._credentials.valid

    async def _renew(self) -> None:
        try:
            if self._credentials is None:
                self._credentials = await asyncio.to_thread(self._load)
            await asyncio.to_thread(self._credentials.refresh, self._transport)
        except self._failures:
            raise UpstreamAuth("no access token could be had from Google Cloud") from None


def authorizer(options: Mapping[str, Any], credential: str, send: Send) -> Authorizer | None:
    """Return what asks for tokens, unless the credential is an API key or itself a token.

    Args:
        options: `quota_project` names the project that is billed.
        credential: the text of a key file, or nothing: then the machine's own identity.
        send: not used; the package sends by itself.

    Raises:
        ValueError: the credential is no key file, or google-auth is not installed.
    """
    if credential and not is_key_file(credential):
        return None
    try:
        auth = import_module("google.auth")
        failure = import_module("google.auth.exceptions").GoogleAuthError
        transport = import_module("google.auth.transport.requests").Request()
    except ImportError:
        raise ValueError("tokens of Google Cloud need the package google-auth[requests]") from None
    load = _reader(credential) if credential else lambda: auth.default(scopes=SCOPES)[0]
    calls = partial(transport, timeout=_TIMEOUT_S)
    return Tokens(load, calls, (failure, ValueError), options.get("quota_project"))


def is_key_file(credential: str) -> bool:
    """Whether a credential is the text of a key file."""
    return credential.lstrip().startswith("{")


def _reader(credential: str) -> Callable[[], Any]:
    """Return what makes credentials of a key file; each kind is read as itself only."""
    try:
        info = msgspec.json.decode(credential, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise ValueError("the credential looks like a key file but is no JSON") from None
    kind = str(info.get("type"))
    if kind not in _KINDS:
        raise ValueError(f"a key file of type {kind!r} is not known: {', '.join(_KINDS)}")
    module, method = _KINDS[kind]
    return partial(getattr(import_module(module).Credentials, method), info, scopes=list(SCOPES))
