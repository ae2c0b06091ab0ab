"""The cheapest for this request."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from proxy.deployments import Deployment, Price
from proxy.exchange import Exchange
from proxy.routing.cost import Cost
from tests.fakes import deployment, exchange

DOLLAR = 1_000_000


@pytest.fixture(autouse=True)
def _same_chance_each_time() -> None:
    random.seed(7)


def priced(name: str, prompt: float, answer: float, weight: float = 1) -> Deployment:
    """Return a deployment with these prices, in dollars for a million tokens."""
    price = Price(int(prompt * DOLLAR), int(answer * DOLLAR), int(prompt * DOLLAR))
    return deployment(name, price=price, weight=weight)


def asking(tokens: int, more: bytes = b"") -> Exchange:
    """Return an exchange with so long a prompt."""
    return exchange(b'{"model":"m","prompt":"%b"%b}' % (b"abc " * tokens, more))


def test_what_is_cheapest_depends_on_the_size() -> None:
    """A long prompt goes where prompts are cheap, a short one where answers are."""
    prompts, answers = priced("prompts", 0.1, 20), priced("answers", 2, 4)

    assert Cost().choose([prompts, answers], asking(100)) is answers
    assert Cost().choose([prompts, answers], asking(10_000)) is prompts
    assert Cost().choose([prompts, answers], asking(100, b',"max_tokens":5')) is prompts


def test_what_an_answer_usually_has_is_learned() -> None:
    """A model that talks much costs more than its price says."""
    brief, chatty = priced("brief", 1, 6), priced("chatty", 1, 5)
    assert Cost().choose([brief, chatty], asking(100)) is chatty

    brief.health.output_tokens.observe(100)
    chatty.health.output_tokens.observe(900)
    assert Cost().choose([brief, chatty], asking(100)) is brief
    assert Cost().choose([brief, chatty], asking(100, b',"max_completion_tokens":50')) is chatty


def test_free_is_first_and_unknown_last() -> None:
    """What nobody has a price for may be dear."""
    free, dear, unknown = priced("free", 0, 0), priced("dear", 100, 100), deployment("unknown")

    assert Cost().choose([dear, unknown, free], asking(10)) is free
    assert Cost().choose([unknown, dear], asking(10)) is dear
    assert Cost().choose([unknown], asking(10)) is unknown


def test_equals_share_by_weight() -> None:
    """A difference of less than a twentieth is none: it is an estimate."""
    given = [priced("a", 1, 1, weight=3), priced("b", 1.02, 1), priced("c", 2, 2)]
    seen = Counter(Cost().choose(given, asking(100)) for _ in range(3000))

    assert seen[given[0]] / 3000 == pytest.approx(0.75, abs=0.03)
    assert seen[given[2]] == 0


def test_an_exchange_without_a_body_is_compared_by_its_answer() -> None:
    """What is passed through unread has a price too."""
    unread = exchange()
    unread.request = None
    given = [priced("a", 1, 2), priced("b", 1, 1)]

    assert Cost().choose(given, unread) is given[1]


def test_it_says_what_the_request_costs() -> None:
    """In dollars, and for how many tokens."""
    said = Cost().score(priced("a", 0.5, 2), asking(1200, b',"max_tokens":300'))

    assert said == "$0.0012 for this request: about 1200 tokens, and 300 of an answer"
    assert "price unknown" in Cost().score(deployment("b"), asking(10))
