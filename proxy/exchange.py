"""One client request and all that happens to it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from proxy.errors import Failure, GatewayError
from proxy.wire import Request, Usage

Outcome = Literal["ok", "error", "cancelled", "truncated", "cached"]


@dataclass(slots=True, frozen=True)
class ClientKey:
    """Who asks.

    Attributes:
        name: what logs and records call it; never the key itself.
        routes: the routes it may use; empty means all.
        weight: its tenant's share of a provider's queue, beside others.
        priority, max_priority: class of its calls there, and the highest it may ask for.
        regions: patterns of where its calls may be computed; empty means anywhere.
        admin: whether it may use the administration.
    """

    name: str
    user: str = ""
    team: str = ""
    routes: tuple[str, ...] = ()
    weight: float = 1.0
    priority: int = 5
    max_priority: int = 9
    regions: tuple[str, ...] = ()
    admin: bool = False


ID_PREFIX = "req_"
"""What the ids begin with that we give to exchanges."""

ANYONE = ClientKey("anyone")
"""The key of an exchange that no plugin has authenticated."""


@dataclass(slots=True)
class Attempt:
    """One try on one deployment.

    Attributes:
        reason: why it was made: "first", "fallback cheap", "again", "hedge", ...
        result: "ok", the error's code, "cancelled", or "lost" for the slower of two.
        failure: the error's class; None where there is none.
        usage: what it used, as far as anybody knows.
        dropped: what of the request the vendor did not get, as the header says it.
        queued_s: time in the provider's queue, in seconds.
        upstream_s: time from the choice of the worker to the end, in seconds.
        first_token_s: from the worker to the first content, in seconds; 0 when none came.
        status: the vendor's HTTP status, 0 when none came.
    """

    provider: str
    model: str
    credential: str = ""
    result: str = ""
    status: int = 0
    queued_s: float = 0.0
    upstream_s: float = 0.0
    first_token_s: float = 0.0
    reason: str = "first"
    failure: Failure | None = None
    usage: Usage | None = None
    dropped: str = ""


@dataclass(slots=True)
class Exchange:
    """The record plugins read and write, and the log keeps.

    Attributes:
        id: the request's id, ours or the client's `x-request-id`.
        operation: "chat", "embeddings", ..., or "passthrough".
        request: the JSON body; None where the body is passed through unread.
        headers: the client's, names in lower case, one value a name.
        received_at: Unix time, in seconds.
        started: monotonic time of arrival, in seconds.
        deadline: monotonic time at which all attempts end, in seconds.
        probe: whether it is the gateway's own, to find out whether a model is well.
        priority: class of its calls in a queue, 0 to 9; 9 goes first.
        route: the route's name, once it is chosen.
        status: HTTP status of the answer, 0 before there is one.
        delivered: whether the last byte of a streamed answer is on its way to the client.
        response_headers: what plugins add to the answer; a name here replaces the vendor's.
        response_removed: the vendor's headers that plugins keep from the client.
        receive_s: time in which the body came in, in seconds.
        paused_s: time between attempts, in seconds.
        first_token_s: from arrival to the first content, in seconds; 0 when none came.
        pre_s, translate_s: our own time in plugins' `pre` and around the wire, in seconds.
        entered: how many plugins were entered; the chain's own book-keeping.
        notes: scratch space, one key per plugin name.
    """

    id: str
    operation: str
    method: str
    path: str
    headers: dict[str, str]
    received_at: float
    started: float
    deadline: float = math.inf
    request: Request | None = None
    client: str = ""
    key: ClientKey = ANYONE
    tags: dict[str, str] = field(default_factory=dict)
    probe: bool = False
    priority: int = 5
    route: str = ""
    provider: str = ""
    model: str = ""
    stream: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    usage: Usage | None = None
    outcome: Outcome = "ok"
    status: int = 0
    delivered: bool = False
    error: GatewayError | None = None
    response_headers: list[tuple[str, str]] = field(default_factory=list)
    response_removed: set[str] = field(default_factory=set)
    receive_s: float = 0.0
    paused_s: float = 0.0
    pre_s: float = 0.0
    translate_s: float = 0.0
    first_token_s: float = 0.0
    finished_s: float = 0.0
    entered: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def overhead_s(self) -> float:
        """Our own share of the time, in seconds: neither client, queue nor vendor had it.

        Of a stream it is what came before the head and after the end, not the relaying.
        """
        elsewhere_s = self.receive_s + self.paused_s
        for attempt in self.attempts:
            elsewhere_s += attempt.queued_s + attempt.upstream_s
        return max(0.0, self.finished_s - elsewhere_s + self.translate_s)
