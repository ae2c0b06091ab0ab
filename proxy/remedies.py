"""What to do about each class of failure: the one table that decides it.

Reading a row: after a rate limit the same deployment may be tried again once it has rested,
another credential of it helps at once, so does another deployment; when all have failed, the
routes under `quota_fallbacks` come before those under `fallbacks`; and it was this use of a
credential that has to rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from proxy.errors import Failure

Blame = Literal["nobody", "deployment", "use", "credential"]
"""Whose state a failure changes: nobody's, the breaker's of a deployment, the rest of one use
(a credential for one model), or a credential's for everything."""

Fallbacks = Literal["fallbacks", "quota_fallbacks", "context_fallbacks", "content_fallbacks"]
"""A group of routes, as the configuration calls it."""


class Remedy(NamedTuple):
    """What may help.

    Attributes:
        again: the same deployment, after a pause.
        credential: another credential of the same deployment, at once.
        deployment: another deployment of the route.
        fallbacks: the groups of routes that come after it, the first one first.
        blame: whose state it changes.
    """

    again: bool = False
    credential: bool = False
    deployment: bool = False
    fallbacks: tuple[Fallbacks, ...] = ()
    blame: Blame = "nobody"

    @property
    def hopeless(self) -> bool:
        """Whether no other attempt could end better."""
        return not (self.again or self.deployment or self.fallbacks)


_ANY: tuple[Fallbacks, ...] = ("fallbacks",)
_QUOTA: tuple[Fallbacks, ...] = ("quota_fallbacks", "fallbacks")

REMEDIES: Mapping[Failure, Remedy] = {
    "credential": Remedy(False, True, True, _ANY, "credential"),
    "model_access": Remedy(False, True, True, _ANY, "use"),
    "quota": Remedy(False, True, True, _QUOTA, "credential"),
    "model_gone": Remedy(False, False, True, _ANY, "use"),
    "region": Remedy(False, False, True, _ANY, "nobody"),
    "rate_limit": Remedy(True, True, True, _QUOTA, "use"),
    "caller_fault": Remedy(),
    "context_length": Remedy(fallbacks=("context_fallbacks",)),
    "content_filter": Remedy(fallbacks=("content_fallbacks",)),
    "transient": Remedy(True, False, True, _ANY, "deployment"),
    "unknown": Remedy(True, False, True, _ANY, "deployment"),
    "unsent": Remedy(False, False, True, _ANY, "nobody"),
}

REST_S: Mapping[Failure, float] = {
    "model_access": 60.0,
    "quota": 60.0,
    "model_gone": 60.0,
}
"""How long what is blamed rests where the vendor does not say, in seconds; after a rate limit it
is the deployment's backoff, longer each time."""

LONGEST_REST_S = 300.0
"""A vendor's mistake does not take a credential out for a day."""
