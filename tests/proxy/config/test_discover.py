"""A start without any file."""

from __future__ import annotations

import pytest

from proxy.config.discover import discover
from proxy.config.known import Known
from proxy.config.load import load
from proxy.config.problems import ConfigError


def test_without_anything_the_simulator_answers(known: Known) -> None:
    """Under every name."""
    config = discover({}, known)
    assert list(config.providers) == ["sim"]
    assert config.routes["*"].deployments[0].provider == "sim"
    assert [entry.name for entry in config.plugins] == ["access_log"]
    assert config.keys == []
    assert load(None, {}, known) == config


def test_each_key_in_the_environment_is_a_provider(known: Known) -> None:
    """The one that speaks the clients' dialect takes what has no other route."""
    environ = {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o", "AZURE_OPENAI_API_KEY": ""}
    config = discover(environ, known)
    assert list(config.providers) == ["openai", "anthropic", "sim"]
    assert config.providers["openai"].credentials[0].value.reveal() == "o"
    assert config.routes["*"].deployments[0].provider == "openai"


def test_any_vendor_goes_before_the_simulator(known: Known) -> None:
    """It is for those who have nothing else."""
    config = discover({"ANTHROPIC_API_KEY": "a"}, known)
    assert config.routes["*"].deployments[0].provider == "anthropic"


def test_a_base_url_is_taken_from_the_environment(known: Known) -> None:
    """A vendor that has none needs it."""
    environ = {"AZURE_OPENAI_API_KEY": "z", "OPENAI_API_KEY": "o", "OPENAI_BASE_URL": "http://h/v1"}
    config = discover(environ, known)
    assert list(config.providers) == ["openai", "sim"]
    assert config.providers["openai"].base_url == "http://h/v1"
    with_url = discover({**environ, "AZURE_OPENAI_ENDPOINT": "https://z"}, known)
    assert with_url.providers["azure"].base_url == "https://z"


def test_the_shared_state_is_taken_from_the_environment(known: Known) -> None:
    """So that several processes know of each other without a file."""
    assert discover({"REDIS_URL": "redis://h"}, known).state.redis.reveal() == "redis://h"


def test_a_wrong_variable_is_named(known: Known) -> None:
    """There is no file to look into."""
    with pytest.raises(ConfigError) as caught:
        discover({"OPENAI_API_KEY": "o", "OPENAI_BASE_URL": "h"}, known)
    assert caught.value.render() == (
        "environment: OPENAI_BASE_URL: must be a URL such as https://api.example.com/v1"
    )
