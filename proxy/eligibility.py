"""Which deployments may serve an exchange at all: asked before any strategy chooses.

Each check says in words why a deployment may not, or nothing. The same checks decide for a
request and answer whoever asks why (`headgate explain`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from proxy import estimate
from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.wire import Request

UNREAD = frozenset({"passthrough", "realtime"})
"""Operations that any provider can take. They are many vendors' paths under one name, so what
becomes of them says nothing of any model's health, nor of what a credential may do."""
_REGION = "region"

DEAD = "the vendor refuses its credentials"
"""The reason of a deployment all of whose credentials are dead."""


class Wants:
    """What an exchange asks of who serves it, worked out once somebody wants to know.

    Attributes:
        now: monotonic time of the choice, in seconds.
        anywhere: whether it may be computed in any region.
    """

    __slots__ = ("_needs", "_tokens", "anywhere", "exchange", "now")

    def __init__(self, exchange: Exchange, now: float = 0.0) -> None:
        self.exchange = exchange
        self.now = now
        self.anywhere = not exchange.tags and not exchange.key.regions
        self._needs: frozenset[str] | None = None
        self._tokens = -1

    @property
    def tokens(self) -> int:
        """Tokens of the prompt, by estimate."""
        if self._tokens < 0:
            self._tokens = estimate.of_prompt(self.exchange.request)
        return self._tokens

    @property
    def needs(self) -> frozenset[str]:
        """What it asks of a model, in the catalogue's words."""
        if self._needs is None:
            self._needs = _needs(self.exchange.request)
        return self._needs


Check = Callable[[Deployment, Wants], str]


def _operation(deployment: Deployment, wants: Wants) -> str:
    operation = wants.exchange.operation
    if operation in deployment.adapter.operations or operation in UNREAD:
        return ""
    return f"its adapter does not serve {operation}"


def _condition(deployment: Deployment, wants: Wants) -> str:
    if deployment.when is None or deployment.when(wants.exchange):
        return ""
    return "its condition (`when`) does not hold"


def _region(deployment: Deployment, wants: Wants) -> str:
    """Check where it computes; of one that does not say, nobody knows that it may."""
    exchange = wants.exchange
    asked = exchange.tags.get(_REGION) if exchange.tags else None
    allowed = exchange.key.regions
    if not asked and not allowed:
        return ""
    region = deployment.region
    if asked and not fnmatchcase(region, asked):
        return f"the request wants region {asked[:100]}, and it is in {region or 'none we know'}"
    if allowed and not any(fnmatchcase(region, pattern) for pattern in allowed):
        return f"the key may only use {', '.join(allowed)}, and it is in {region or 'none we know'}"
    return ""


def _drained(deployment: Deployment, wants: Wants) -> str:
    if deployment.drained or deployment.health.drained or deployment.unit.drained:
        return "it is drained"
    return ""


def _credential(deployment: Deployment, wants: Wants) -> str:
    if deployment.credentials:
        return ""
    return "none of its provider's credentials may be used for this model"


def _circuit(deployment: Deployment, wants: Wants) -> str:
    breaker = deployment.health.breaker
    if breaker.state == "closed":
        return ""
    if deployment.unit.probed and not wants.exchange.probe:
        return "its circuit is open until a probe finds it well"
    if breaker.allows(wants.now):
        return ""
    left_s = max(0.0, breaker.open_until - wants.now)
    return f"its circuit is open for {left_s:.1f} s" if left_s else "its circuit is being probed"


def _alive(deployment: Deployment, wants: Wants) -> str:
    if not deployment.health.uses or deployment.wait_s(wants.now) < math.inf:
        return ""
    return DEAD


CHECKS: tuple[Check, ...] = (
    *(_operation, _condition, _region, _drained, _credential, _circuit, _alive),
)
"""What nothing overrules, the cheapest and most lasting first."""


def hindrance(deployment: Deployment, wants: Wants) -> str:
    """Return why a deployment may not serve an exchange, or nothing."""
    if deployment.well and wants.anywhere:  # nearly always; what is left to ask is the operation
        return _operation(deployment, wants)
    for check in CHECKS:
        if reason := check(deployment, wants):
            return reason
    return ""


def shortcoming(deployment: Deployment, wants: Wants) -> str:
    """Return why its model should not serve an exchange, by all that is known, or nothing."""
    facts = deployment.facts
    if facts is None:
        return ""
    lacking = deployment.lacks & wants.needs if facts.capabilities is not None else ()
    if lacking:
        return f"its model is known to lack {', '.join(sorted(lacking))}"
    if facts.context_tokens is not None and wants.tokens > facts.context_tokens:
        return f"the prompt of about {wants.tokens} tokens is over its {facts.context_tokens}"
    return ""


def capable(found: Sequence[Deployment], wants: Wants) -> Sequence[Deployment]:
    """Leave out models that are known not to do what the request asks for.

    Where all of them are, the vendor has the last word: what is known may be out of date.
    """
    for deployment in found:  # as a loop, it costs a third of `any`
        if deployment.facts is not None:
            break
    else:
        return found
    return [d for d in found if not shortcoming(d, wants)] or found


def warmed(found: Sequence[Deployment], now: float) -> Sequence[Deployment]:
    """Let those that have just recovered take part only now and then, more often each second."""
    for deployment in found:
        breaker = deployment.health.breaker
        if breaker.changes and breaker.share(now) < 1:
            break
    else:
        return found
    return [d for d in found if random.random() < d.health.breaker.share(now)] or found


def _needs(request: Request | None) -> frozenset[str]:
    if request is None:
        return frozenset()
    messages = request.raw("messages") or b""
    asked = {
        "tools": request.raw("tools") not in (None, b"null", b"[]"),
        "json_schema": b'"json_schema"' in (request.raw("response_format") or b""),
        "vision": b'"image_url"' in messages,
        "audio": b'"input_audio"' in messages,
    }
    return frozenset(name for name, is_asked in asked.items() if is_asked)
