"""`headgate drain`: no new calls for a provider or one of its models, or again some."""

from __future__ import annotations

from argparse import Namespace

from proxy.admin.client import Refused, ask
from proxy.cli import CommandError


def run(arguments: Namespace) -> int:
    """Tell a running gateway.

    Raises:
        CommandError: it cannot be reached, or says no.
    """
    word = {"deployment": arguments.name, "drained": not arguments.undo}
    try:
        ask(arguments.url, arguments.key, "drain", word)
    except Refused as error:
        raise CommandError(str(error)) from None
    print(f"{arguments.name} {'is in use again' if arguments.undo else 'gets no new calls'}")
    return 0
