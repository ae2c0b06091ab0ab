"""TLS towards vendors: verification, resumed sessions, and clean ends.

Source: https://docs.python.org/3/library/ssl.html (2026-11-21)
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import os
import ssl
from typing import Any

_SESSIONS = 1024


class ResumingContext(ssl.SSLContext):
    """A client's TLS settings that also resume the last session with each server."""

    _sessions: dict[str, ssl.SSLSession]

    def __new__(cls) -> ResumingContext:
        """Return a context that verifies, as `ssl.create_default_context` does."""
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context._sessions = {}
        return context

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Wrap as ever, with the session of the server that is named, if there is one."""
        known = self._sessions.get(options.get("server_hostname") or "")
        if known is not None:
            options["session"] = known
        return super().wrap_bio(*args, **options)

    def remember(self, server: str, session: ssl.SSLSession | None) -> None:
        """Keep `session`, if the server gave one, for the next connection to it."""
        if session is None:
            return
        if len(self._sessions) >= _SESSIONS:
            self._sessions.clear()
        self._sessions[server] = session


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Return TLS settings that verify the vendor.

    Args:
        ca_file: a PEM file of the only authorities to trust; None: the system's, and those
            of certifi where the system has none and certifi is installed.
    """
    context = ResumingContext()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
        return context
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"] and not _has_authorities():
        with contextlib.suppress(ImportError):
            context.load_verify_locations(importlib.import_module("certifi").where())
    return context


@functools.cache
def default_context() -> ssl.SSLContext:
    """The system's authorities take milliseconds and megabytes: once is enough."""
    return tls_context()


def _has_authorities() -> bool:
    """Whether OpenSSL has a directory from which it loads authorities when asked for one."""
    folder = ssl.get_default_verify_paths().capath
    return folder is not None and any(os.scandir(folder))


def ended_cleanly(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the peer itself ended the connection: over TLS, by saying so.

    asyncio calls `eof_received` for a wire that was cut, too (RFC 9112 section 9.8). After
    a peer's close_notify a read finds the end; after a cut it waits for more.
    """
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    try:
        return tls is None or not tls.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False
