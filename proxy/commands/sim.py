"""`headgate sim`: the simulator alone, for tests of what calls a vendor."""

from __future__ import annotations

import asyncio
import signal
from argparse import Namespace
from collections.abc import Sequence

import uvloop

from proxy.cli import CommandError
from proxy.sim.behaviour import Behaviour, from_options
from proxy.sim.server import Simulator


def run(arguments: Namespace) -> int:
    """Serve until told to stop.

    Raises:
        CommandError: an option is wrong, or the address cannot be had.
    """
    uvloop.run(_serve(_behaviour(arguments.options), arguments))
    return 0


async def _serve(behaviour: Behaviour, arguments: Namespace) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    simulator = Simulator(behaviour, key=arguments.key)
    try:
        port = await simulator.start(arguments.host, arguments.port)
    except OSError as error:
        where = f"{arguments.host}:{arguments.port}"
        raise CommandError(f"cannot listen on {where}: {error.strerror or error}") from None
    print(f"simulator on http://{arguments.host}:{port}/v1", flush=True)
    await stopping.wait()
    await simulator.close()


def _behaviour(options: Sequence[str]) -> Behaviour:
    pairs: dict[str, object] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise CommandError(f"`{option}` is not name=value")
        pairs[name] = value
    try:
        return from_options(pairs)
    except ValueError as error:
        raise CommandError(str(error)) from None
