"""Where a vendor is, for what a user wrote and the options that say it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy import registry

ADDRESSES = [
    ("bedrock", "", {}, ""),
    (
        "bedrock",
        "",
        {"region": "eu-central-1"},
        "https://bedrock-runtime.eu-central-1.amazonaws.com",
    ),
    (
        *("bedrock", "", {"region": "us-gov-west-1"}),
        "https://bedrock-runtime.us-gov-west-1.amazonaws.com",
    ),
    ("bedrock", "https://vpce.example", {"region": "eu-central-1"}, "https://vpce.example"),
    ("vertex", "", {}, ""),
    ("vertex", "", {"location": "global"}, ""),
    ("vertex", "", {"location": "europe-west4"}, "https://europe-west4-aiplatform.googleapis.com"),
    ("vertex", "", {"location": "us"}, "https://aiplatform.us.rep.googleapis.com"),
    ("vertex", "https://p.example", {"location": "europe-west4"}, "https://p.example"),
    ("ollama", "", {}, ""),
    ("ollama", "10.0.0.5", {}, "http://10.0.0.5:11434"),
    ("ollama", "10.0.0.5:8080", {}, "http://10.0.0.5:8080"),
    ("ollama", ":8080", {}, "http://127.0.0.1:8080"),
    ("ollama", "0.0.0.0", {}, "http://127.0.0.1:11434"),
    ("ollama", "[::]:8080", {}, "http://127.0.0.1:8080"),
    ("ollama", "[fe80::1]", {}, "http://[fe80::1]:11434"),
    ("ollama", "example.com/path/", {}, "http://example.com:11434/path"),
    ("ollama", "https://example.com", {}, "https://example.com"),
    ("azure", "https://r.openai.azure.com", {}, "https://r.openai.azure.com"),
    ("azure", "https://r.openai.azure.com/", {}, "https://r.openai.azure.com"),
    ("azure", "https://r.openai.azure.com/openai", {}, "https://r.openai.azure.com"),
    ("azure", "https://r.openai.azure.com/openai/v1/", {}, "https://r.openai.azure.com"),
    (
        *("azure", "https://r.openai.azure.com/openai/deployments/d/chat/completions", {}),
        "https://r.openai.azure.com",
    ),
    ("azure", "https://apim.example/team/openai/v1", {}, "https://apim.example/team"),
    ("openai", "https://x.example/v1", {}, "https://x.example/v1"),
]


@pytest.mark.parametrize(("adapter", "given", "options", "expected"), ADDRESSES)
def test_a_vendor_is_where_its_users_say_it(
    adapter: str, given: str, options: dict[str, Any], expected: str
) -> None:
    """By region, by host, or by what its own tools show; empty leaves it to the default."""
    assert registry.base_url(adapter, given, options) == expected


@pytest.mark.parametrize(
    ("adapter", "given", "options"),
    [
        ("bedrock", "", {"region": "Frankfurt"}),
        ("bedrock", "", {"region": "evil.example/#"}),
        ("bedrock", "", {"region": 7}),
        ("vertex", "", {"location": "evil.example/"}),
        ("vertex", "", {"location": None}),
        ("ollama", "host:port", {}),
    ],
)
def test_what_cannot_be_is_told(adapter: str, given: str, options: dict[str, Any]) -> None:
    """And never becomes a part of another host's name."""
    with pytest.raises(ValueError, match=r"\w"):
        registry.base_url(adapter, given, options)
