"""`/admin/api`: JSON in, JSON out, errors as everywhere.

GET  /admin/api/deployments      how providers, credentials and models are doing
POST /admin/api/drain            no new calls for a provider or a model, or again some
POST /admin/api/explain          what would happen to a request
GET  /admin/api/exchanges/{id}   what became of one
POST /admin/api/config           read the configuration anew
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
import structlog
from aiohttp import web

from proxy import explain
from proxy.admin import questions
from proxy.admin.admission import admit
from proxy.admin.paths import PREFIX
from proxy.config.problems import ConfigError
from proxy.dialects import openai_body
from proxy.errors import (
    GatewayError,
    InvalidConfiguration,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
)
from proxy.exchange import ANYONE, ClientKey
from proxy.fleet import Fleet
from proxy.pipeline import Reply
from proxy.serving import Patience, read_body
from proxy.snapshot import Snapshot

log = structlog.get_logger()

_LONGEST_BODY = 8 * 1024 * 1024
_EXCHANGES = f"{PREFIX}exchanges/"
_JSON = [("content-type", "application/json"), ("cache-control", "no-store")]


class Asked(NamedTuple):
    """One request.

    Attributes:
        path: what follows the prefix.
    """

    key: ClientKey
    path: str
    body: bytes


class Api:
    """Answers operators."""

    def __init__(self, current: Callable[[], Snapshot], fleet: Fleet, patience: Patience) -> None:
        self._current = current
        self._fleet = fleet
        self._patience = patience

    async def reply(self, request: web.BaseRequest) -> Reply:
        """Answer one request under `PREFIX`."""
        request_id = f"req_{random.getrandbits(96):024x}"
        headers = [*_JSON, ("x-request-id", request_id)]
        try:
            key = self._admit(request)
            answer = _answerer(request.method, request.rel_url.raw_path)
            body = await read_body(request, _LONGEST_BODY, self._patience)
            asked = Asked(key, request.rel_url.raw_path, body)
            return Reply(200, headers, msgspec.json.encode(await answer(self, asked)))
        except GatewayError as error:
            headers += error.headers.items()
            return Reply(error.status, headers, openai_body(error, request_id))

    async def deployments(self, _: Asked) -> Any:
        """Return how the providers are doing, over all workers of this host."""
        return await self._fleet.overview()

    async def drain(self, asked: Asked) -> Any:
        """Let a provider or a model get no new calls, or again some.

        Raises:
            NotFound: there is none of this name; the message has the nearest ones.
        """
        word = questions.read(asked.body, questions.Drain)
        names = await self._fleet.names()
        if word.deployment not in names:
            raise NotFound(_unknown(word.deployment, sorted(names)))
        await self._fleet.drain(word.deployment, drained=word.drained)
        log.info(
            "drained" if word.drained else "undrained", name=word.deployment, by=asked.key.name
        )
        return word

    async def explain(self, asked: Asked) -> Any:
        """Return what would happen to a request.

        Raises:
            GatewayError: no such key or route, or the request is none.
        """
        question = questions.read(asked.body, questions.Explain)
        snapshot = self._current()
        key = next((k for k in snapshot.keys if k.name == question.key), None)
        if question.key and key is None:
            raise InvalidRequest("no key of this name", param="key")
        body = msgspec.json.encode(question.body) if question.body else b""
        exchange = explain.question(question.model, key or ANYONE, question.lowered(), body)
        return explain.explain(snapshot, exchange, question.model, monotonic())

    async def exchange(self, asked: Asked) -> Any:
        """Return what became of an exchange.

        Raises:
            NotFound: none of the last ones has this id.
        """
        request_id = unquote(asked.path.removeprefix(_EXCHANGES))
        found = await self._fleet.exchange(request_id)
        if found is None:
            raise NotFound("none of the last exchanges has this id")
        return found

    async def config(self, asked: Asked) -> Any:
        """Read the configuration anew in all workers of this host.

        Raises:
            InvalidConfiguration: it cannot be used; nothing has changed.
        """
        try:
            change, workers = await self._fleet.reconfigure()
        except ConfigError as error:
            problems = [problem.render() for problem in error.problems]
            message = f"the configuration has mistakes, the old one stays: {problems[0]}"
            raise InvalidConfiguration(message, problems) from None
        log.info("configuration read anew", by=asked.key.name, version=change.version)
        return {"before": change.before, "version": change.version, "workers": workers}

    def _admit(self, request: web.BaseRequest) -> ClientKey:
        snapshot = self._current()
        headers = {name.lower(): value for name, value in request.headers.items()}
        peer = request.protocol.peername
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        return admit(snapshot.config, snapshot.keys, headers, address)


_Answer = Callable[[Api, Asked], Awaitable[Any]]

_ANSWERS: dict[str, tuple[str, _Answer]] = {
    f"{PREFIX}deployments": ("GET", Api.deployments),
    f"{PREFIX}drain": ("POST", Api.drain),
    f"{PREFIX}explain": ("POST", Api.explain),
    f"{PREFIX}config": ("POST", Api.config),
}


def _answerer(method: str, path: str) -> _Answer:
    """Return what answers a path.

    Raises:
        NotFound, MethodNotAllowed: nothing does, or another method.
    """
    known = ("GET", Api.exchange) if path.startswith(_EXCHANGES) else _ANSWERS.get(path)
    if known is None:
        raise NotFound(f"there is no {path[:100]} here")
    if method != known[0]:
        error = MethodNotAllowed(f"{path[:100]} takes {known[0]}, not {method[:20]}")
        error.headers["allow"] = known[0]
        raise error
    return known[1]


def _unknown(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name[:200], names[:10_000], n=3, cutoff=0.5)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"there is no provider or deployment {name[:100]!a}{meant}"
