"""The settings of nearer levels: what is left out there is inherited from the farther ones."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from proxy.config.base import Settings
from proxy.config.types import Count, Duration, DurationOrZero, Money


class NearerTimeouts(Settings, frozen=True, kw_only=True):
    """Timeouts of a provider, a route or a deployment; what is left out is inherited."""

    connect: Annotated[Duration | None, Meta(description="Name, connection and TLS.")] = None
    first_token: Annotated[
        Duration | None, Meta(description="From the request sent to the first byte of content.")
    ] = None
    idle: Annotated[Duration | None, Meta(description="Longest silence within an answer.")] = None
    whole: Annotated[
        Duration | None, Meta(description="The head of an answer that is not streamed.")
    ] = None
    total: Annotated[
        Duration | None,
        Meta(description="The whole exchange, with its queue and all its attempts."),
    ] = None


class NearerRetries(Settings, frozen=True, kw_only=True):
    """Retries of a provider, a route or a deployment; what is left out is inherited."""

    attempts: Annotated[Count | None, Meta(description="Most tries of one exchange.")] = None
    backoff: Annotated[
        DurationOrZero | None, Meta(description="Wait before trying a deployment again.")
    ] = None
    backoff_max: Annotated[DurationOrZero | None, Meta(description="Longest such wait.")] = None
    cost: Annotated[Money | None, Meta(description="Most that all tries may cost.")] = None
