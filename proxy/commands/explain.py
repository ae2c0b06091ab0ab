"""`headgate explain`: who would serve a request, in which order, and why not the others."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from proxy import app
from proxy.cli import CommandError
from proxy.errors import GatewayError


def run(arguments: Namespace) -> int:
    """Print the explanation.

    Raises:
        ConfigError: the configuration cannot be used.
        CommandError: nothing serves this, there is no such key, or the body cannot be read.
    """
    config = app.load(arguments.config)
    try:
        headers = dict(map(_header, arguments.header))
        body = _body(arguments.body)
        print(app.explain(config, arguments.model, arguments.key, headers, body))
    except GatewayError as error:
        raise CommandError(error.message) from None
    return 0


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise CommandError(f"{text}: a header is written as name: value")
    return name.strip().lower(), value.strip()


def _body(path: str | None) -> bytes:
    if path is None:
        return b""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
