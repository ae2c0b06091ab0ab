"""The shared state as Redis keeps it; the only file that speaks to Redis about it.

    <prefix>:until          sorted set: a fact's name, scored with the server's time in ms at
                            which it ends; what has ended is removed by whoever reads it all
    <prefix>:drains         hash: a name and the rank of an operator's last word about it
    <prefix>:lease:<name>   the process that may try a circuit; expires
    <prefix>:told           channel on which each change is told

A change and its telling are one script, so that all processes hear changes in the order in
which they hold. Times are the server's own.

Source: https://redis.io/docs/latest/develop/interact/programmability/eval-intro/ and
https://redis.io/docs/latest/develop/interact/pubsub/ (2026-11-26)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from proxy.sharing.facts import DRAIN, Message
from proxy.sharing.store import TIMEOUT_S, Facts, Unreachable

PING_S = 5.0
"""After so much silence the line is tried, in seconds; after as much again it is dead."""

_SPARE_MS = 60_000

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "

_TELL = (
    _NOW
    + """
local left = tonumber(ARGV[2])
if left > 0 then
    redis.call('ZADD', KEYS[1], now + left, ARGV[1])
    if redis.call('PTTL', KEYS[1]) < left then
        redis.call('PEXPIRE', KEYS[1], left + tonumber(ARGV[5]))
    end
else
    redis.call('ZREM', KEYS[1], ARGV[1])
end
if redis.call('GET', KEYS[2]) == ARGV[3] then redis.call('DEL', KEYS[2]) end
redis.call('PUBLISH', KEYS[3], ARGV[4])
return 0
"""
)
"""Keys: until, lease, channel. Arguments: name, milliseconds, process, message, spare ms."""

_DRAIN = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known or tonumber(known) < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('PUBLISH', KEYS[2], ARGV[3])
return 0
"""
"""Keys: drains, channel. Arguments: name, rank, message."""

_ASK = """
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return 0
end
return math.max(1, redis.call('PTTL', KEYS[1]))
"""
"""Key: lease. Arguments: process, milliseconds. Returns how many ms another still has it."""

_FACTS = (
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #found, 2 do found[i] = tonumber(found[i]) - now end
return {found, redis.call('HGETALL', KEYS[2])}
"""
)
"""Keys: until, drains. Returns names with the milliseconds left, and names with ranks."""

_decode = msgspec.json.Decoder(Message).decode
_encode = msgspec.json.Encoder().encode


def check(url: str) -> None:
    """Find out whether a URL can be used, without connecting.

    Raises:
        ValueError: it cannot; the message is for the operator and has no password.
    """
    parse_url(url)


class RedisStore:
    """One connection for questions and one to listen."""

    def __init__(self, url: str, prefix: str, holder: str) -> None:
        """Prepare to connect.

        Args:
            url: redis://, rediss:// or unix://.
            prefix: of all keys; gateways that share it share their state.
            holder: how this process is called among all.
        """
        self._holder = holder
        self._until, self._drains = f"{prefix}:until", f"{prefix}:drains"
        self._lease, self._channel = f"{prefix}:lease:", f"{prefix}:told"
        self._redis = Redis.from_url(
            url,
            socket_timeout=None,  # ours alone: its `wait_for` may lose a cancellation
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # a new line has to catch up first: no hidden ones
            client_name="headgate",
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        self._listening = self._redis.pubsub()

    async def connect(self) -> None:
        """Connect, and hear from now on what is told."""
        async with _bounded():
            await self._listening.subscribe(self._channel)
            while await self._listening.get_message(timeout=TIMEOUT_S) is None:
                pass  # the confirmation is what is waited for

    async def facts(self) -> Facts:
        """Return all that holds now."""
        async with _bounded():
            lasting, drains = await self._redis.eval(_FACTS, 2, self._until, self._drains)
        return Facts(_pairs(lasting), _pairs(drains))

    async def tell(self, messages: Sequence[Message]) -> None:
        """Let facts hold, and let all processes hear of them, in this order."""
        async with _bounded(), self._redis.pipeline(transaction=False) as pipeline:
            for message in messages:
                kind, _, subject = message.name.partition(":")
                told = _encode(message)
                if kind == DRAIN:
                    keys = (self._drains, self._channel)
                    pipeline.eval(_DRAIN, 2, *keys, subject, message.value, told)
                else:
                    places = (self._until, self._lease + message.name, self._channel)
                    arguments = (message.name, message.value, self._holder, told, _SPARE_MS)
                    pipeline.eval(_TELL, 3, *places, *arguments)
            await pipeline.execute()

    async def ask(self, names: Sequence[str], lease_s: float) -> list[float]:
        """Take or renew leases; see `Store.ask`."""
        async with _bounded(), self._redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.eval(_ASK, 1, self._lease + name, self._holder, int(lease_s * 1000))
            answers = await pipeline.execute()
        return [answer / 1000 for answer in answers]

    async def heard(self) -> Message:
        """Wait for the next message; a line that is silent is tried, and given up."""
        tried = False
        while True:
            try:
                found = await self._listening.get_message(timeout=PING_S)
                if found is None and tried:
                    raise Unreachable("the server has gone silent")
                if found is None:
                    tried = True
                    await self._listening.ping()
                    continue
            except (RedisError, OSError, TimeoutError) as error:
                raise Unreachable(_reason(error)) from error
            tried = False
            if found["type"] == "message" and (message := _read(found["data"])) is not None:
                return message

    async def close(self) -> None:
        """Let go of both connections; never fails."""
        with suppress(RedisError, OSError, TimeoutError, RuntimeError):
            async with asyncio.timeout(TIMEOUT_S):
                await self._listening.aclose()  # type: ignore[no-untyped-call]
        with suppress(RedisError, OSError, TimeoutError, RuntimeError):
            async with asyncio.timeout(TIMEOUT_S):
                await self._redis.aclose()


@asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    """Limit a question's time, and turn what the library raises into our own word."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise Unreachable(_reason(error)) from error


def _reason(error: Exception) -> str:
    return str(error) or f"no answer within {TIMEOUT_S:g} s"


def _read(text: bytes) -> Message | None:
    """Read a message; None for one that is not ours to understand."""
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return None


def _pairs(flat: Sequence[Any]) -> dict[str, int]:
    """Turn names and numbers in turn into a table."""
    names = [name.decode("utf-8", "surrogateescape") for name in flat[::2]]
    return {name: int(value) for name, value in zip(names, flat[1::2], strict=True)}
