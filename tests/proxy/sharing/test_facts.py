"""The names under which things are told."""

from __future__ import annotations

from typing import cast

import pytest

from proxy.credentials import Credential
from proxy.queues import Bounds, ProviderUnit
from proxy.sharing import facts
from proxy.upstream import Upstream

ODD = ["gpt-4o", "meta/llama:70b", "a#b/c#d", "ft:gpt-4o:acme::1", "*", "模型"]


def unit(*credentials: Credential) -> ProviderUnit:
    return ProviderUnit("vendor", cast(Upstream, None), Bounds(1, 1, 1.0), credentials)


@pytest.mark.parametrize("model", ODD)
def test_a_name_leads_back_to_what_it_names(model: str) -> None:
    """Models are called whatever vendors and clients like."""
    one, two = Credential("k1", "main"), Credential("k2", "team/second#1")
    vendor = unit(one, two)
    units = {"vendor": vendor}
    health = vendor.health("" if model == "*" else model)
    assert facts.breaker_of(facts.circuit_of(health), units) is health.breaker
    for credential in (one, two):
        name = facts.life_of(vendor, credential, health)
        assert facts.breaker_of(name, units) is health.use(credential).life
        assert facts.credential_of(facts.rest_of(vendor, credential), units) is credential


@pytest.mark.parametrize(
    "name",
    [
        "circuit:gone/model",
        "life:gone/main#0/model",
        "life:vendor/other#0/model",
        "life:vendor",
        "nonsense",
        "",
    ],
)
def test_what_is_not_here_has_no_breaker(name: str) -> None:
    """Replicas may have another configuration, or another release."""
    assert facts.breaker_of(name, {"vendor": unit(Credential("k", "main"))}) is None


def test_another_value_is_another_credential() -> None:
    """The name of a key outlives its rotation; what was said of the old one does not."""
    told = facts.rest_of(unit(), Credential("old", "main"))
    assert facts.credential_of(told, {"vendor": unit(Credential("new", "main"))}) is None


def test_a_circuit_that_is_being_tried_is_not_told() -> None:
    """Its result will be."""
    health = unit().health("m")
    assert facts.open_ms(health.breaker, 0.0) == 0
    health.breaker.opened(0.0, 1.5)
    assert facts.open_ms(health.breaker, 0.0) == 1500
    assert facts.open_ms(health.breaker, 2.0) is None
    health.breaker.begin(2.0)
    assert facts.open_ms(health.breaker, 2.0) is None
