"""What is known of models, under all the names they have."""

from __future__ import annotations

import subprocess
import sys

import pytest

from proxy.catalogue import CAPABILITIES, lookup, plain, read
from tests.source import ROOT


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GPT-4o", "gpt-4o"),
        ("openai/gpt-4.1", "gpt-4-1"),
        ("models/gemini-2.5-pro", "gemini-2-5-pro"),
        ("publishers/google/models/gemini-2.5-pro", "gemini-2-5-pro"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4@default", "claude-sonnet-4"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
        ("us.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("us-gov.anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku-20240307"),
        ("amazon.nova-pro-v1:0:300k", "nova-pro"),
        ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-lite-v1:0", "nova-lite"),
        ("meta-llama/Llama-3.3-70B-Instruct:cerebras", "llama-3-3-70b-instruct"),
        ("llama3.2:3b", "llama3-2"),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "gpt-4o-mini-2024-07-18"),
        ("deepseek/deepseek-r1:free", "deepseek-r1"),
        ("", ""),
        ("/", ""),
        ("ft:", ""),
    ],
)
def test_a_name_is_stripped_of_what_vendors_put_around_it(name: str, expected: str) -> None:
    """Region, maker, path, version and variant; the date stays."""
    assert plain(name) == expected


def test_a_model_is_known_by_any_of_its_names() -> None:
    """And its facts are those of the vendor that is named."""
    for name in ("gpt-4o", "openai/gpt-4o", "gpt-4o-2099-01-01", "GPT-4o-latest"):
        model = lookup(name)
        assert model is not None
        assert (model.name, model.vendor, model.context_tokens) == ("gpt-4o", "openai", 128_000)
        assert model.capabilities is not None
        assert {"vision", "tools", "json_schema"} <= model.capabilities
    ours, makers = lookup("claude-haiku-4-5", "bedrock"), lookup("claude-haiku-4-5", "anthropic")
    assert ours is not None
    assert makers is not None
    assert (ours.vendor, makers.vendor) == ("bedrock", "anthropic")


def test_what_a_vendor_does_not_say_is_known_from_another() -> None:
    """The same model under the name of a cloud that sells it."""
    model = lookup("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock")
    assert model is not None
    assert model.vendor == "bedrock"
    assert model.context_tokens is not None
    assert model.output_tokens is not None
    assert model.capabilities is not None
    assert {"vision", "tools", "reasoning"} <= model.capabilities


@pytest.mark.parametrize(
    "name", ["", "sim", "no-such-model", "gpt-4o-nonsense", "ft:", "2024-01-01"]
)
def test_what_nobody_knows_is_not_guessed(name: str) -> None:
    """A wrong context window is worse than none."""
    assert lookup(name) is None
    assert lookup(name, "openai") is None
    assert lookup(name, "no-such-vendor") is None


def test_an_exact_date_is_preferred() -> None:
    """Models of one name may differ from date to date."""
    old, new = lookup("gpt-4o-2024-05-13"), lookup("gpt-4o-2024-08-06")
    assert old is not None
    assert new is not None
    assert (old.output_tokens, new.output_tokens) == (4096, 16_384)


def test_the_file_is_small_and_in_order() -> None:
    """It names its sources and their licence, and every fact can be read."""
    size = (ROOT / "proxy" / "catalogue.json").stat().st_size
    assert size < 150_000
    document = read()
    assert {source.package for source in document.sources} == {
        "genai-prices",
        "langchain-openai",
        "langchain-openrouter",
    }
    assert all(source.licence == "MIT" and source.version for source in document.sources)
    assert sum(map(len, document.models.values())) > 500
    for vendor, models in document.models.items():
        for name, (context_tokens, output_tokens, letters) in models.items():
            assert vendor
            assert name
            assert (context_tokens or 1) > 0
            assert (output_tokens or 1) > 0
            assert set(letters or "") <= CAPABILITIES.keys()
            found = lookup(name, vendor)
            assert found is not None
            assert found.vendor == vendor


def test_the_file_is_read_when_first_asked_for() -> None:
    """And none of its sources is ever imported."""
    program = (
        "import sys, proxy.catalogue as c; assert not c._indices.cache_info().currsize;"
        "assert c.lookup('gpt-4o'); assert c._indices.cache_info().currsize == 1;"
        "assert not {'genai_prices', 'langchain_openai'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=30)
