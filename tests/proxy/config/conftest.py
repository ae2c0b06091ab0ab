"""A world of a few names, and configurations written into files of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from proxy.adapter import Defaults
from proxy.config.known import Known
from proxy.config.load import load
from proxy.config.problems import ConfigError
from proxy.config.structs import Config

_DEFAULTS = {
    "anthropic": Defaults("https://api.anthropic.example", "ANTHROPIC_API_KEY"),
    "azure": Defaults("", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"),
    "openai": Defaults("https://api.openai.example/v1", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "sim": Defaults("http://sim.invalid"),
}

Load = Callable[..., Config]
Mistakes = Callable[..., list[str]]


@pytest.fixture
def known() -> Known:
    return Known(
        adapters=frozenset(_DEFAULTS),
        strategies=frozenset(["priority", "random", "round_robin", "weighted"]),
        plugins=frozenset(["access_log", "auth", "headers"]),
        defaults=_DEFAULTS.__getitem__,
    )


@pytest.fixture
def load_text(tmp_path: Path, known: Known, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a text as the file of this name; files it names are beside it."""
    monkeypatch.chdir(tmp_path)

    def load_it(
        text: str, environ: Mapping[str, str] | None = None, name: str = "headgate.yaml"
    ) -> Config:
        Path(name).write_text(text, encoding="utf-8")
        return load(name, environ or {}, known)

    return load_it


@pytest.fixture
def mistakes(load_text: Load) -> Mistakes:
    """Return the lines that a wrong configuration is answered with."""

    def lines(*args: object, **options: object) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(*args, **options)
        return caught.value.render().splitlines()

    return lines


@pytest.fixture
def example() -> str:
    """The configuration by example, as the documentation has it."""
    return EXAMPLE


EXAMPLE = """\
server:    {host: 127.0.0.1, port: 8080, workers: 1, max_body: 32MiB, grace: 30s, tls: null}
state:     {redis: "${REDIS_URL:-}"}
store:     {url: "sqlite:///headgate.db"}
providers:
  openai:
    adapter: openai
    base_url: https://api.openai.com/v1
    credentials:
      - {value: "${OPENAI_API_KEY}", weight: 2}
      - {value: "${OPENAI_API_KEY_2}", weight: 1, models: ["gpt-4o*"]}
    workers: 64
    queue: 256
    queue_timeout: 10s
    timeouts: {connect: 5s, first_token: 60s, idle: 60s, total: 600s}
  claude: {adapter: anthropic, credentials: [{value: "${ANTHROPIC_API_KEY}"}]}
routes:
  fast:
    strategy: priority
    deployments:
      - {provider: openai, model: gpt-4o-mini, priority: 1, weight: 3}
      - {provider: claude, model: claude-haiku-4-5, priority: 2}
    fallbacks: [cheap]
    context_fallbacks: [long]
  cheap: {deployments: [{provider: claude, model: cheap}]}
  long: {deployments: [{provider: claude, model: long}]}
  "*": {deployments: [{provider: openai}]}
plugins:
  - auth: {}
  - access_log
  - headers: {response: {x-served-by: headgate}}
"""
