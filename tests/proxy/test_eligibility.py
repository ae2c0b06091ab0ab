"""Which deployments may serve an exchange: by what it is, asks for and how they are doing."""

from __future__ import annotations

import random

import pytest

from proxy.breaker import BreakerRules
from proxy.catalogue import Model
from proxy.credentials import Credential
from proxy.deployments import Deployment
from proxy.eligibility import Wants, capable, hindrance, warmed
from proxy.exchange import ClientKey
from tests.fakes import deployment, exchange, unit


def wants(body: bytes = b'{"model":"m"}', now: float = 0.0, **known: object) -> Wants:
    """Return what such an exchange wants."""
    asked = exchange(body)
    for name, value in known.items():
        setattr(asked, name, value)
    return Wants(asked, now)


def opened(now: float) -> Deployment:
    """Return a deployment whose circuit has just opened."""
    given = deployment("a")
    given.health.breaker.opened(now, now + 10)
    return given


def drained_by(what: str) -> Deployment:
    """Return a deployment that an operator has drained in one of three ways."""
    given = deployment("a", drained=what == "configuration")
    given.health.drained = what == "model"
    given.unit.drained = what == "provider"
    return given


def test_whatever_is_well_may_serve() -> None:
    """Without tags, regions and conditions nothing stands in the way."""
    assert hindrance(deployment("a"), wants()) == ""


@pytest.mark.parametrize(
    ("given", "asked", "reason"),
    [
        (deployment("a"), wants(operation="rerank"), "its adapter does not serve rerank"),
        (deployment("a", when=lambda _: False), wants(), "its condition (`when`) does not hold"),
        (drained_by("configuration"), wants(), "it is drained"),
        (drained_by("model"), wants(), "it is drained"),
        (drained_by("provider"), wants(), "it is drained"),
        (opened(0), wants(now=4), "its circuit is open for 6.0 s"),
        (
            deployment("a", unit=unit(credentials=[Credential("1", models=["other"])])),
            wants(),
            "none of its provider's credentials may be used for this model",
        ),
    ],
)
def test_it_is_said_why_not(given: Deployment, asked: Wants, reason: str) -> None:
    """In words for who asks why."""
    assert hindrance(given, asked) == reason


def test_what_passes_through_unread_needs_no_operation() -> None:
    """Any provider can take it."""
    assert hindrance(deployment("a"), wants(operation="passthrough")) == ""


def test_a_circuit_lets_one_probe_through() -> None:
    """Once its rest is over."""
    given = opened(0)

    assert hindrance(given, wants(now=11)) == ""
    assert given.health.breaker.begin(11)
    assert hindrance(given, wants(now=11)) == "its circuit is being probed"


@pytest.mark.parametrize(
    ("region", "tag", "key", "may"),
    [
        ("eu-west-1", "eu-west-1", (), True),
        ("eu-west-1", "eu-*", (), True),
        ("us-east-1", "eu-*", (), False),
        ("", "eu-*", (), False),
        ("eu-west-1", "", ("eu-*",), True),
        ("us-east-1", "", ("eu-*", "us-*"), True),
        ("us-east-1", "", ("eu-*",), False),
        ("", "", ("eu-*",), False),
        ("us-east-1", "us-*", ("eu-*",), False),
    ],
)
def test_a_region_is_kept_to(region: str, tag: str, key: tuple[str, ...], may: bool) -> None:
    """By the request's tag and by the key's; where one computes that nobody knows, is no region."""
    asked = wants(tags={"region": tag} if tag else {}, key=ClientKey("k", regions=key))

    assert (hindrance(deployment("a", region=region), asked) == "") is may


def knowing(name: str, *abilities: str, context: int = 1000) -> Deployment:
    """A deployment of whose model the catalogue knows these abilities."""
    return deployment(name, facts=Model(name, "v", context, 100, frozenset(abilities)))


@pytest.mark.parametrize(
    ("member", "ability"),
    [
        ('"tools":[{"type":"function"}]', "tools"),
        ('"response_format":{"type":"json_schema"}', "json_schema"),
        ('"messages":[{"content":[{"type":"image_url","image_url":{}}]}]', "vision"),
        ('"messages":[{"content":[{"type":"input_audio","input_audio":{}}]}]', "audio"),
    ],
)
def test_a_model_that_cannot_do_it_is_passed_over(member: str, ability: str) -> None:
    """While another can, or nothing is known of it."""
    able, unable, unknown = knowing("a", ability), knowing("b"), deployment("c")
    asked = wants(f'{{"model":"m",{member}}}'.encode())

    assert list(capable([unable, able, unknown], asked)) == [able, unknown]
    assert list(capable([unable], asked)) == [unable]
    plain = wants(b'{"model":"m","tools":[]}')
    assert list(capable([unable, able], plain)) == [unable, able]


def test_a_model_whose_context_is_too_short_is_passed_over() -> None:
    """By a guess; where all are too short, the vendor has the last word."""
    short, long = knowing("a", context=1_000), knowing("b", context=1_000_000)
    asked = wants(b'{"model":"m","messages":"%s"}' % (b"x" * 8_000))

    assert list(capable([short, long], asked)) == [long]
    assert list(capable([short], asked)) == [short]


def test_who_has_just_recovered_gets_its_share_back_bit_by_bit() -> None:
    """A tenth at first, all of it at the end; alone it serves whatever comes."""
    random.seed(7)
    well, weak = deployment("a"), deployment("b")
    weak.health.breaker.rules = BreakerRules(failures=1, open_s=1, slow_start_s=10)
    weak.health.breaker.opened(0, 1)
    weak.health.breaker.closed(2)

    def share(now: float) -> float:
        return sum(weak in warmed([well, weak], now) for _ in range(2000)) / 2000

    assert share(2.0) == pytest.approx(0.1, abs=0.03)
    assert share(7.0) == pytest.approx(0.55, abs=0.05)
    assert share(12.0) == 1
    assert list(warmed([weak], 2.0)) == [weak]
