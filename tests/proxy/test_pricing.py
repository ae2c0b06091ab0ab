"""Prices come from a list that is read when somebody needs one."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from proxy import pricing, registry


@pytest.mark.parametrize(
    ("model", "vendor"),
    [
        ("gpt-4o", "openai"),
        ("gpt-4o-2024-08-06", "azure"),
        ("claude-haiku-4-5", "anthropic"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"),
        ("gemini-2.5-pro", "gemini"),
        ("gemini-2.5-pro", "vertex"),
        ("mistral-small-latest", "mistral"),
        ("grok-4", "xai"),
    ],
)
def test_a_known_model_has_a_price(model: str, vendor: str) -> None:
    """By the vendor's name of it and ours of the vendor: cents to dollars a million tokens."""
    price = pricing.price(model, vendor)

    assert price is not None
    assert 10_000 <= price.cached < price.input < price.output <= 100_000_000


def test_a_price_is_millionths_of_a_dollar_for_a_million_tokens() -> None:
    """A million tokens of this model have cost 2.50 and 10 dollars since October 2024."""
    assert pricing.price("gpt-4o", "openai") == (2_500_000, 10_000_000, 1_250_000)


def test_a_price_by_length_is_that_of_the_shortest() -> None:
    """Most prompts are."""
    assert pricing.price("gemini-2.5-pro", "gemini") == (1_250_000, 10_000_000, 125_000)


@pytest.mark.parametrize(
    ("model", "vendor"),
    [
        ("no-such-model", "openai"),
        ("gpt-4o", "no-such-vendor"),
        ("gpt-4o", "vllm"),
        ("gpt-4o", "custom"),
        ("demo", "sim"),
        ("whisper-large-v3", "groq"),
        ("", "openai"),
        ("x" * 100_000, "openai"),
    ],
)
def test_what_is_not_listed_by_the_token_has_none(model: str, vendor: str) -> None:
    """A model on one's own machine does not cost what its namesake does elsewhere."""
    assert pricing.price(model, vendor) is None


def test_what_has_no_price_for_cached_tokens_takes_the_full_one() -> None:
    """Nobody gives a discount who does not say so."""
    price = pricing.price("text-embedding-3-small", "openai")

    assert price is not None
    assert price.cached == price.input > 0
    assert price.output == 0


def test_a_vendor_has_its_name_or_none_in_the_list() -> None:
    """None of ours makes the list fall over."""
    for vendor in registry.adapter_names():
        pricing.price("no-such-model", vendor)


def test_nothing_is_fetched() -> None:
    """The package could keep itself up to date, in a thread of its own."""
    pricing.price("gpt-4o", "openai")

    assert not any("price" in thread.name.lower() for thread in threading.enumerate())


def test_the_list_is_read_with_the_first_question() -> None:
    """Even if that is of no model: the first request shall not wait for it."""
    script = (
        "import sys; from proxy import pricing; a = 'genai_prices' in sys.modules; "
        "pricing.price('', 'openai'); print(a, 'genai_prices' in sys.modules)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True"]
