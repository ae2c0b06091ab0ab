"""A gateway before one replayed vendor, with the real SDK in front of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from openai import AsyncOpenAI

from proxy.config.structs import Credential, Defaults, Deployment, Hold, Retries, Server
from proxy.config.types import Secret
from tests.e2e.stage import CREDENTIAL, Gate, Stage, route
from tests.e2e.vendors.replay import Answer, Call, Format, Replay, Said

HELLO: list[Any] = [{"role": "user", "content": "Hello there"}]
PATIENT = Server(grace=1, hold=Hold(time=60), ping=0)
ONCE = Defaults(retries=Retries(attempts=1))
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
TIME: Any = {
    "type": "function",
    "function": {
        "name": "time",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
    },
}
PARIS = Call("weather", {"city": "Paris «é»", "days": 3})
CLOCK = Call("time", {"zone": "Europe/Paris"})
THOUGHT = "Let me look."


class Stand(NamedTuple):
    """All that one test needs."""

    vendor: Format
    replay: Replay
    gate: Gate
    client: AsyncOpenAI
    model: str = "any"

    async def ask(self, answer: Answer, messages: Any = HELLO, **more: Any) -> Any:
        """Chat while the vendor answers with this; a stream is collected."""
        self.replay.answers.append(answer)
        create = self.client.chat.completions.create
        found: Any = await create(model=self.model, messages=messages, **more)
        return await Collected().all_of(found) if more.get("stream") else found

    async def say(self, said: Said, messages: Any = HELLO, *, stream: bool, **more: Any) -> Any:
        """Chat, and return the message and its finish reason, in whichever way they come."""
        if stream:
            found = await self.ask(self.vendor.stream(said), messages, stream=True, **more)
            return found.message, found.finish[0]
        choice = (await self.ask(self.vendor.whole(said), messages, **more)).choices[0]
        return choice.message.model_dump(exclude_none=True), choice.finish_reason


class Collected:
    """A stream, put together as a client does that knows nothing of vendors."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {"role": "assistant"}
        self.finish: list[str] = []
        self.usage: list[Any] = []
        self.heads: set[tuple[str, str]] = set()

    async def all_of(self, stream: Any) -> Collected:
        """Take every chunk."""
        async for chunk in stream:
            self.heads.add((chunk.id, chunk.model))
            if chunk.usage is not None:
                assert not chunk.choices
                self.usage.append(chunk.usage)
            for choice in chunk.choices:
                assert not self.usage
                self._add(choice.delta.model_dump(exclude_none=True))
                if choice.finish_reason:
                    self.finish.append(choice.finish_reason)
        return self

    def _add(self, delta: dict[str, Any]) -> None:
        for call in delta.pop("tool_calls", ()):
            self._call(call)
        delta.pop("role", None)
        for name, value in delta.items():
            before = self.message.get(name)
            self.message[name] = value if before is None else before + value

    def _call(self, piece: dict[str, Any]) -> None:
        calls = self.message.setdefault("tool_calls", [])
        number = piece["index"]
        if number == len(calls):
            function = {"name": piece["function"]["name"], "arguments": ""}
            calls.append({"id": piece["id"], "type": "function", "function": function})
        calls[number]["function"]["arguments"] += piece["function"].get("arguments") or ""


def provider_of(vendor: Format, replay: Replay) -> dict[str, Any]:
    """Return a provider's settings."""
    return {
        "adapter": vendor.ADAPTER,
        "base_url": replay.url + vendor.BASE,
        "credentials": [Credential(value=Secret(CREDENTIAL))],
        **vendor.PROVIDER,
    }


def signing(vendor: Format) -> contextlib.AbstractContextManager[object]:
    """Stand in for whoever gives the gateway credentials of this vendor."""
    return getattr(vendor, "signing", contextlib.nullcontext)()


@contextlib.asynccontextmanager
async def standing(
    stage: Stage, vendor: Format, deployment: Mapping[str, Any] | None = None, **provider: Any
) -> AsyncIterator[Stand]:
    """Stand a vendor, a gateway and a client up.

    Args:
        stage: of the test.
        vendor: whose module of this folder.
        deployment: further settings of the deployment.
        provider: further settings of the provider.
    """
    async with Replay() as replay:
        settings = {**provider_of(vendor, replay), **provider}
        serving = Deployment(provider="replayed", model=vendor.MODEL, **(deployment or {}))
        with signing(vendor):
            gate = await stage.open(
                vendors=(),
                providers={"replayed": settings},
                routes={"*": route(serving)},
                server=PATIENT,
                defaults=ONCE,
            )
        async with gate.client(timeout=20) as client:
            yield Stand(vendor, replay, gate, client)
