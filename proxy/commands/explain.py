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
        print(app.explain(config, arguments.model, arguments.key, _body(arguments.body)))
    except GatewayError as error:
        raise CommandError(error.message) from None
    return 0


def _body(path: str | None) -> bytes | None:
    if path is None:
        return None
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
