"""The unit that routing chooses: one provider, one upstream model, one state."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from proxy.adapter import Adapter, Authorizer, Target
from proxy.catalogue import CAPABILITIES, Model
from proxy.config.structs import Retries, Timeouts
from proxy.patches import Patch
from proxy.queues import ProviderUnit

_MOST_TARGETS = 1024
_NOTHING: frozenset[str] = frozenset()
_ALL = frozenset(CAPABILITIES.values())


class Credential(NamedTuple):
    """One of a provider's credentials.

    Attributes:
        value: the secret itself.
        name: what logs call it.
        weight: its share among those that fit the model.
        models: patterns of upstream models it may be used for; empty means all.
    """

    value: str
    name: str
    weight: float = 1.0
    models: tuple[str, ...] = ()

    def fits(self, model: str) -> bool:
        """Whether it may be used for this upstream model."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


@dataclass(slots=True, eq=False)
class Deployment:
    """A place that can serve a route.

    Attributes:
        model: the vendor's name of the model; None takes the client's.
        priority: lower is tried earlier under `priority`.
        weight: relative share under weighted strategies.
        headers: what the configuration sends to this vendor.
        options: the provider's own, for its adapter.
        patch: what the configuration changes in the body; None changes nothing.
        facts: what the catalogue knows of its model.
        authorizer: the provider's credentials that expire or sign; None where they do not.
        cooling_until: monotonic time before which it is avoided, in seconds.
    """

    unit: ProviderUnit
    adapter: Adapter
    timeouts: Timeouts
    retries: Retries
    model: str | None = None
    priority: int = 1
    weight: float = 1.0
    credentials: tuple[Credential, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    patch: Patch | None = None
    authorizer: Authorizer | None = None
    facts: Model | None = None
    cooling_until: float = 0.0
    _targets: dict[str, Target] = field(default_factory=dict, repr=False)

    @property
    def lacks(self) -> frozenset[str]:
        """What its model is known not to do, in the catalogue's words."""
        known = self.facts.capabilities if self.facts is not None else None
        return _NOTHING if known is None else _ALL - known

    @property
    def name(self) -> str:
        """Provider and model, as a client may write it."""
        return f"{self.unit.name}/{self.model or '*'}"

    def target(self, model: str) -> Target | None:
        """Return where an attempt for the client's `model` goes.

        None means that no credential of the provider may be used for it.
        """
        wanted = self.model or model
        known = self._targets.get(wanted)
        if known is not None:
            return known
        if not self.credentials:
            return self._remember(self._target(wanted))
        fitting = [c for c in self.credentials if c.fits(wanted)]
        if not fitting:
            return None
        if len(fitting) == 1:
            return self._remember(self._target(wanted, fitting[0]))
        return self._target(wanted, random.choices(fitting, [c.weight for c in fitting])[0])

    def _remember(self, target: Target) -> Target:
        """Keep what the next request for this model gets as well; names are the client's."""
        if len(self._targets) < _MOST_TARGETS:
            self._targets[target.model] = target
        return target

    def _target(self, model: str, credential: Credential | None = None) -> Target:
        if credential is None:
            return Target(model, "", self.headers, "", self.options)
        return Target(model, credential.value, self.headers, credential.name, self.options)
