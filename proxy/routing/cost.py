"""The cheapest for this very request: by its prompt's tokens and those an answer usually has."""

from __future__ import annotations

import math
from collections.abc import Sequence

from proxy import estimate
from proxy.config.units import format_money
from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.routing._pairs import lot, pair

_ANSWER_TOKENS = 300.0  # until a deployment's own average is learned
_NEAR = 1.05  # who costs so many times the least costs as little: it is an estimate


class Cost:
    """Free ones first, those of unknown price last; between equals it is a lot by weight."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return the cheapest."""
        costs = _micros(candidates, exchange)
        most = min(costs) * _NEAR
        best = [d for d, cost in zip(candidates, costs, strict=True) if cost <= most]
        return best[0] if len(best) == 1 else lot(*pair(best))

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return what this request should cost there, and for how many tokens."""
        (micros,) = _micros((deployment,), exchange)
        if micros == math.inf:
            return "price unknown: after those that are known"
        prompt, longest = _size(exchange)
        answer = min(longest, deployment.health.output_tokens.value() or _ANSWER_TOKENS)
        return (
            f"{format_money(round(micros))} for this request: "
            f"about {prompt} tokens, and {answer:.0f} of an answer"
        )


def _size(exchange: Exchange) -> tuple[int, float]:
    """Return the tokens of the prompt, and the most that an answer may have."""
    request = exchange.request
    return (0, math.inf) if request is None else estimate.of_request(request)


def _micros(deployments: Sequence[Deployment], exchange: Exchange) -> list[float]:
    """Return what a call costs at each, in millionths of a dollar; infinite where nobody knows."""
    prompt, longest = _size(exchange)
    costs = []
    for deployment in deployments:
        price = deployment.price
        if price is None:
            costs.append(math.inf)
            continue
        answer = deployment.health.output_tokens.value() or _ANSWER_TOKENS
        costs.append(price.micros(prompt, answer if answer < longest else longest))
    return costs
