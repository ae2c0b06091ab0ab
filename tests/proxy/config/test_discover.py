"""A start without any file."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from proxy.adapter import Defaults
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


def test_any_of_a_vendors_usual_variables_will_do(known: Known) -> None:
    """The first that has something."""
    several = known._replace(
        defaults=lambda name: (
            known.defaults(name)._replace(also=("OTHER_KEY", "THIRD_KEY"))
            if name == "anthropic"
            else known.defaults(name)
        )
    )
    found = discover({"OTHER_KEY": "", "THIRD_KEY": "t"}, several).providers
    assert found["anthropic"].credentials[0].value.reveal() == "t"


def test_a_machine_with_a_credential_of_its_own_is_a_provider(known: Known) -> None:
    """With the options that the environment has, where what it needs is installed."""
    machine = Defaults(
        "https://cloud.example",
        machine=("CLOUD_PROFILE",),
        options={"region": ("CLOUD_REGION", "CLOUD_DEFAULT_REGION")},
        package="json",
    )
    cloud = known._replace(
        adapters=known.adapters | {"cloud"},
        defaults=lambda name: machine if name == "cloud" else known.defaults(name),
    )
    environ = {"CLOUD_PROFILE": "p", "CLOUD_DEFAULT_REGION": "eu"}
    found = discover(environ, cloud).providers["cloud"]
    assert (found.credentials, dict(found.options)) == ([], {"region": "eu"})
    assert "cloud" not in discover({"CLOUD_REGION": "eu"}, cloud).providers

    machine = machine._replace(package="no_such_package.inner")
    with capture_logs() as told:
        assert "cloud" not in discover(environ, cloud).providers
    assert [line["event"] for line in told] == ["provider left out"]
    assert "headgate[cloud]" in told[0]["reason"]
