"""Which deployments would serve a request, in which order, and why the others would not.

No call is made: the same functions decide here and for a real request.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from proxy.deployments import Deployment
from proxy.eligibility import DEAD, Wants, hindrance, shortcoming
from proxy.exchange import ANYONE, ClientKey, Exchange
from proxy.keys import may_use
from proxy.remedies import Fallbacks
from proxy.routing.table import Route
from proxy.snapshot import Snapshot
from proxy.wire import Request
from proxy.wishes import priority, tags

_GROUPS: tuple[tuple[Fallbacks, str], ...] = (
    ("fallbacks", "then fallback"),
    ("quota_fallbacks", "if quotas or rate limits are spent:"),
    ("context_fallbacks", "if the prompt does not fit:"),
    ("content_fallbacks", "if a vendor's filter refuses it:"),
)


class Row(msgspec.Struct):
    """One deployment.

    Attributes:
        position: in the order in which they would be tried now, from 1; 0: not at all.
        score: what speaks for it, in the strategy's words.
        reason: why it would not be tried, or only after the others.
        facts: what is known of its model.
    """

    deployment: str
    position: int
    score: str = ""
    reason: str = ""
    facts: str = ""


class Step(msgspec.Struct):
    """One route, and when its turn comes."""

    when: str
    route: str
    strategy: str
    deployments: list[Row]


class Explanation(msgspec.Struct):
    """What would happen to a request.

    Attributes:
        asked: the route that its model's name leads to.
        turns: further routes that conditions and splits lead to; the last one serves it.
        allowed: whether the key may use it; None where there is no key.
    """

    model: str
    asked: str
    turns: list[str]
    key: str
    allowed: bool | None
    steps: list[Step]
    attempts: int
    total_s: float


def explain(snapshot: Snapshot, exchange: Exchange, model: str, now: float) -> Explanation:
    """Return what would happen to `exchange` at monotonic time `now`, in seconds.

    Raises:
        ModelNotFound: no route takes this name.
    """
    route, upstream_model = snapshot.routes.find(model)
    asked, turns = route.name, []
    while route.turn is not None and (name := route.turn(exchange)) is not None:
        route = route.turns[name].under(upstream_model)
        turns.append(route.name)
    key = exchange.key
    wants = Wants(exchange, now)
    steps = [_step("", route, wants)]
    for group, when in _GROUPS:
        others: Sequence[Route] = getattr(route, group)
        steps += [_step(when, other.under(upstream_model), wants) for other in others]
    return Explanation(
        model=model,
        asked=asked,
        turns=turns,
        key="" if key is ANYONE else key.name,
        allowed=None if key is ANYONE else may_use(key, model),
        steps=steps,
        attempts=route.attempts,
        total_s=route.total_s,
    )


def render(explanation: Explanation) -> str:
    """Return an explanation as text, a line a fact."""
    lines: list[str] = []
    first = explanation.steps[0]
    where = " → ".join([repr(explanation.asked), *map(repr, explanation.turns)])
    lines.append(f"model {explanation.model!r} is served by route {where} ({first.strategy})")
    if explanation.allowed is not None:
        verdict = "may" if explanation.allowed else "may NOT"
        lines.append(f"key {explanation.key!r} {verdict} use it")
    for step in explanation.steps:
        if step.when:
            lines.append(f"{step.when} {step.route!r} ({step.strategy})")
        lines += _lines(step.deployments)
    lines.append(
        f"at most {explanation.attempts} attempts within {explanation.total_s:g} s, "
        "all of these together"
    )
    return "\n".join(lines)


def question(
    model: str, key: ClientKey = ANYONE, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Exchange:
    """Return the exchange that such a request would be.

    Args:
        model: as a client would send it; it replaces the body's.
        key: who would ask.
        headers: names in lower case.
        body: the request's; its form tells the operation. Empty means a chat.

    Raises:
        InvalidRequest: the body or a header is none that a client could send.
    """
    request = Request(body or b"{}", needs_model=False)
    request.set("model", model)
    exchange = Exchange(
        id="req_explain",
        operation=operation_of(request) if body else "chat",
        method="POST",
        path="",
        headers=dict(headers or {}),
        received_at=time.time(),
        started=time.monotonic(),
        request=request,
        key=key,
        stream=request.stream,
    )
    exchange.tags = tags(exchange.headers)
    exchange.priority = priority(exchange.headers, key)
    return exchange


def operation_of(request: Request) -> str:
    """Return which operation a body is meant for."""
    if "messages" in request:
        return "chat"
    if "prompt" in request:
        return "completions"
    return "embeddings" if "encoding_format" in request or "dimensions" in request else "responses"


def _step(when: str, route: Route, wants: Wants) -> Step:
    reasons = {d: _reason(d, wants) for d in route.deployments}
    order = list(_order(route, [d for d in route.deployments if not reasons[d]], wants))
    rows = [
        Row(d.name, position, route.strategy.score(d, wants.exchange), facts=_known(d))
        for position, d in enumerate(order, 1)
    ]
    rows += [Row(d.name, 0, reason=reasons[d], facts=_known(d)) for d in reasons if reasons[d]]
    return Step(when, route.name, route.strategy_name, rows)


def _order(route: Route, left: Sequence[Deployment], wants: Wants) -> Iterator[Deployment]:
    """Yield deployments as the strategy would take them; its own counters stay as they are."""
    strategy = copy.copy(route.strategy)
    left = list(left)
    while left:
        able = [d for d in left if not shortcoming(d, wants)] or left
        chosen = strategy.choose(able, wants.exchange) if len(able) > 1 else able[0]
        left.remove(chosen)
        yield chosen


def _reason(deployment: Deployment, wants: Wants) -> str:
    if reason := hindrance(deployment, wants):
        return reason
    if deployment.unit.full:
        return "its provider's queue is full"
    wait_s = deployment.wait_s(wants.now, wants.tokens)
    if wait_s == math.inf:
        return DEAD
    return f"its credentials rest for {wait_s:.1f} s" if wait_s > 0 else ""


def _known(deployment: Deployment) -> str:
    """What the catalogue says of its model."""
    facts = deployment.facts
    if facts is None:
        return ""
    known = [f"{facts.context_tokens} tokens of context"] if facts.context_tokens else []
    known += [", ".join(sorted(facts.capabilities or ()))]
    return "; ".join(filter(None, known))


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row.position:
            told = "; ".join(filter(None, (row.score, row.facts)))
            yield f"  {row.position}. {row.deployment}" + (f" ({told})" if told else "")
        else:
            yield f"  -  {row.deployment}: {row.reason}"
