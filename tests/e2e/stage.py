"""A real gateway in front of simulated vendors, in the test's own loop; it must leave nothing.

When a stage is closed every queue is empty, every worker free, every task and descriptor
gone, and nobody has logged a mistake. So each test of this folder is a test for leaks too.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import structlog
from openai import AsyncOpenAI

from proxy.config.structs import (
    Config,
    Credential,
    Defaults,
    Deployment,
    Hold,
    Key,
    PluginEntry,
    Provider,
    Retries,
    Route,
    Server,
    Timeouts,
)
from proxy.config.types import Secret
from proxy.gateway import Gateway
from proxy.queues import ProviderUnit
from proxy.sim.behaviour import from_options
from proxy.sim.server import Simulator
from proxy.sim.stats import Stats
from proxy.sink import Sink

T = TypeVar("T")

LEFT_S = 5.0
_YOUNG = 1  # what a test has made; a walk through all that was ever imported takes its time
KEY = "client-key-of-the-tests"
CREDENTIAL = "sk-credential-of-the-vendor"
PLUGINS = (PluginEntry(name="auth"), PluginEntry(name="access_log"), PluginEntry(name="headers"))
QUICK = Retries(attempts=3, backoff=0.001, backoff_max=0.01)
SERVER = Server(grace=1, hold=Hold(time=5))


class Gate(NamedTuple):
    """A gateway that serves.

    Attributes:
        written: the configuration it would read next.
    """

    gateway: Gateway
    port: int
    written: list[Config]

    @property
    def url(self) -> str:
        """What an SDK takes as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def unit(self, provider: str = "sim") -> ProviderUnit:
        """Return the queue and workers of a provider."""
        return self.gateway.current().pipeline.snapshot.units[provider].unit

    async def reload(self, config: Config) -> None:
        """Let the gateway read this configuration, as if its file had changed."""
        self.written[:] = [config]
        await self.gateway.reload()

    def client(self, **options: Any) -> AsyncOpenAI:
        """Return the real SDK, pointed here; close it before the test ends."""
        options = {"api_key": KEY, "max_retries": 0, **options}
        return AsyncOpenAI(base_url=self.url, **options)


class Stage:
    """Starts simulators and gateways for one test, and looks what is left of them."""

    def __init__(self) -> None:
        self._devnull = os.open(os.devnull, os.O_WRONLY)
        self._sink = Sink(self._devnull)
        self._gates: list[Gate] = []
        self._simulators: dict[str, tuple[Simulator, int]] = {}
        self._mistakes = _Mistakes()
        self._errors: list[Mapping[str, Any]] = []
        self.expected_errors: set[str] = set()

    async def __aenter__(self) -> Stage:
        self._processors = structlog.get_config()["processors"]
        structlog.configure(processors=[self._note])
        logging.getLogger().addHandler(self._mistakes)
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self._mistakes.complain(context))
        await _warm_up()
        self._tasks = asyncio.all_tasks()
        self._descriptors = _descriptors()
        return self

    async def __aexit__(self, failed: object, *_: object) -> None:
        try:
            if failed is None:
                await self._check_idle()
            await asyncio.gather(*(gate.gateway.stop() for gate in self._gates))
            for simulator, _port in self._simulators.values():
                await simulator.close()
            if failed is None:
                await self._check_gone()
        finally:
            logging.getLogger().removeHandler(self._mistakes)
            structlog.configure(processors=self._processors)
            self._sink.close()
            os.close(self._devnull)

    async def simulator(self, name: str = "sim", **options: object) -> str:
        """Start a vendor that asks for `CREDENTIAL`, once; return its base URL."""
        if name not in self._simulators:
            simulator = Simulator(from_options(options), key=CREDENTIAL)
            self._simulators[name] = (simulator, await simulator.start())
        return f"http://127.0.0.1:{self.direct(name)}/v1"

    def stats(self, name: str = "sim") -> Stats:
        """Return what a vendor saw."""
        return self._simulators[name][0].stats

    def direct(self, name: str = "sim") -> int:
        """Return the vendor's own port."""
        return self._simulators[name][1]

    async def open(
        self,
        *,
        vendors: Iterable[str] = ("sim",),
        providers: Mapping[str, dict[str, Any]] | None = None,
        routes: Mapping[str, Route] | None = None,
        server: Server = SERVER,
        timeouts: Timeouts | None = None,
        **settings: Any,
    ) -> Gate:
        """Start a gateway.

        Args:
            vendors: names of simulators to start, each a provider of the same name.
            providers: further settings by provider; a `base_url` takes the simulator's place.
            routes: by default every name goes to the first provider.
            timeouts: of all providers.
            settings: of the configuration itself.
        """
        config = await self.config(
            vendors, providers or {}, routes, server=server, timeouts=timeouts, **settings
        )
        return await self.serve(config)

    async def config(
        self,
        vendors: Iterable[str] = ("sim",),
        providers: Mapping[str, dict[str, Any]] | None = None,
        routes: Mapping[str, Route] | None = None,
        *,
        timeouts: Timeouts | None = None,
        **settings: Any,
    ) -> Config:
        """Return the configuration that `open` would take."""
        given = dict(providers or {})
        made = {}
        for name in dict.fromkeys((*vendors, *given)):
            wanted = given.get(name, {})
            url = wanted.get("base_url") or await self.simulator(name)
            shared = {"adapter": "openai", "credentials": [Credential(value=Secret(CREDENTIAL))]}
            made[name] = Provider(**{**shared, "base_url": url, **wanted})
        settings.setdefault("plugins", list(PLUGINS))
        settings.setdefault("keys", [Key(name="tests", value=Secret(KEY))])
        settings.setdefault("server", SERVER)
        defaults = Defaults(retries=QUICK, timeouts=timeouts or Timeouts())
        settings.setdefault("defaults", defaults)
        first = next(iter(made))
        return Config(providers=made, routes=dict(routes or {"*": route(first)}), **settings)

    async def serve(self, config: Config) -> Gate:
        """Start a gateway with this configuration."""
        written = [config]
        gateway = Gateway(config, lambda: written[0], sink=self._sink)
        listening = socket.create_server(("127.0.0.1", 0))
        gate = Gate(gateway, listening.getsockname()[1], written)
        try:
            await gateway.start([listening])
        except BaseException:
            listening.close()
            raise
        self._gates.append(gate)
        return gate

    def _note(self, logger: object, name: str, event: Mapping[str, Any]) -> Any:
        if name in ("error", "exception", "critical"):
            self._errors.append(event)
        raise structlog.DropEvent

    async def _check_idle(self) -> None:
        """Every provider of every gateway has neither a call nor a queue."""
        for gate in self._gates:
            for unit in gate.gateway.current().pipeline.snapshot.units.values():
                await _none_of(lambda it=unit.unit: it.busy + it.depth)
                assert (unit.unit.busy, unit.unit.depth) == (0, 0), unit.unit

    async def _check_gone(self) -> None:
        mine = asyncio.current_task()
        left_tasks = await _none_of(lambda: asyncio.all_tasks() - self._tasks - {mine})
        assert not left_tasks, left_tasks
        gc.collect(_YOUNG)
        # By number alone: the loop opens some of its own anew between set-up and here.
        before = self._descriptors
        more = await _none_of(lambda: max(0, len(_descriptors()) - len(before)))
        assert not more, f"still open: {_descriptors() - before}"
        unexpected = [e for e in self._errors if e.get("event") not in self.expected_errors]
        assert not unexpected, unexpected
        assert not self._mistakes.seen, self._mistakes.seen


class _Mistakes(logging.Handler):
    """Keeps what libraries and the loop complain about."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an error of the standard library's log."""
        self.seen.append(self.format(record))

    def complain(self, context: Mapping[str, Any]) -> None:
        """Keep a complaint of the loop."""
        self.seen.append(str(dict(context)))


def route(*deployments: str | Deployment, fallbacks: Sequence[str] = (), **more: Any) -> Route:
    """Return a route to these; a text is a provider, or `provider/model`."""
    made = []
    for position, each in enumerate(deployments, 1):
        if isinstance(each, Deployment):
            made.append(each)
        else:
            provider, _, model = each.partition("/")
            made.append(Deployment(provider=provider, model=model, priority=position))
    return Route(deployments=made, fallbacks=list(fallbacks), **more)


async def _warm_up() -> None:
    """Let the loop open what it keeps for its life."""
    gc.collect(_YOUNG)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    server.close()
    await server.wait_closed()
    await asyncio.to_thread(os.getpid)


async def _none_of(left: Callable[[], T]) -> T:
    """Give what is still there some time to go, and return what then is left."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEFT_S):
            while left():
                await asyncio.sleep(0.002)
    return left()


def _descriptors() -> set[str]:
    """Return what is open, as the system names it."""
    found = set()
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            found.add(f"{name} {os.readlink(f'/dev/fd/{name}')}")
    return found
