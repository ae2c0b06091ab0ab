"""`headgate serve`: the gateway."""

from __future__ import annotations

from argparse import Namespace

from proxy import app
from proxy.cli import CommandError
from proxy.listening import CannotListen


def run(arguments: Namespace) -> int:
    """Serve until told to stop.

    Raises:
        ConfigError: the configuration cannot be used.
        CommandError: the address cannot be had.
    """
    overrides = app.Overrides(arguments.host, arguments.port, arguments.workers)
    try:
        return app.serve(arguments.config, overrides)
    except CannotListen as error:
        raise CommandError(str(error)) from None
