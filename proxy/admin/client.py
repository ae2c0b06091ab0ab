"""The administration of a running gateway, asked over HTTP by the commands."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import msgspec

from proxy.addresses import is_loopback
from proxy.admin.paths import PREFIX

KEY_VARIABLE = "HEADGATE_ADMIN_KEY"
"""Names an admin's key where `--key` does not."""

_TIMEOUT_S = 30.0


class Refused(Exception):
    """The gateway cannot be reached, or says no; the text is for the user."""


def ask(url: str, key: str, path: str, body: object = None) -> Any:
    """Return the answer of a gateway.

    Args:
        url: where it listens.
        key: an admin's key; empty takes the environment's.
        path: what follows `/admin/api/`.
        body: what to tell it, as JSON can say it; None only asks.

    Raises:
        Refused: there is no answer, or an error.
    """
    text = None if body is None else msgspec.json.encode(body)
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}{PREFIX}{path}", data=text)
        request.add_header("content-type", "application/json")
        if key := key or os.environ.get(KEY_VARIABLE, ""):
            request.add_header("authorization", f"Bearer {key}")
        with _opener(url).open(request, timeout=_TIMEOUT_S) as answer:
            return msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as error:
        raise Refused(_message(error)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise Refused(f"no answer from {url}: {reason}") from None


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return what opens a URL; this machine itself is never asked through a proxy."""
    direct = is_loopback(urlsplit(url).hostname or "")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if direct else []))


def _message(error: urllib.error.HTTPError) -> str:
    """Return what the gateway says against it."""
    with error:
        try:
            return str(msgspec.json.decode(error.read())["error"]["message"])
        except (ValueError, KeyError, TypeError):
            return f"{error.code} {error.reason}: is this a gateway?"
