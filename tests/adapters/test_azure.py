"""Azure: three ways in, two ways to be let in."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from adapters import azure
from proxy.adapter import Target, UpstreamRequest
from proxy.errors import UpstreamAuth
from proxy.wire import Request
from tests.fakes import unsent

CHAT = Request(b'{"model":"m","messages":[],"stream":true}')


def sent(operation: str = "chat", **options: Any) -> UpstreamRequest:
    """Return what is sent under these options."""
    return azure.operations[operation].request(CHAT, Target("gpt 5/x", "key", options=options))


@pytest.mark.parametrize(
    ("operation", "options", "path"),
    [
        ("chat", {}, "/openai/v1/chat/completions"),
        ("responses", {}, "/openai/v1/responses"),
        ("images", {}, "/openai/v1/images/generations"),
        (
            "chat",
            {"api_version": "2024-10-21"},
            "/openai/deployments/gpt%205%2Fx/chat/completions?api-version=2024-10-21",
        ),
        (
            "embeddings",
            {"api_version": "2024-10-21"},
            "/openai/deployments/gpt%205%2Fx/embeddings?api-version=2024-10-21",
        ),
        ("responses", {"api_version": "preview"}, "/openai/responses?api-version=preview"),
        ("input_tokens", {}, "/openai/v1/responses/input_tokens"),
        (
            "input_tokens",
            {"api_version": "preview"},
            "/openai/responses/input_tokens?api-version=preview",
        ),
        (
            "chat",
            {"endpoint": "models"},
            "/models/chat/completions?api-version=2024-05-01-preview",
        ),
        (
            "chat",
            {"endpoint": "models", "api_version": "2025-04-01"},
            "/models/chat/completions?api-version=2025-04-01",
        ),
    ],
)
def test_the_path_is_that_of_the_way_in(operation: str, options: Any, path: str) -> None:
    """The deployment stands in the body, and in a dated path as well."""
    made = sent(operation, **options)

    assert made.path == path
    assert json.loads(made.body)["model"] == "gpt 5/x"
    assert made.headers[0] == ("api-key", "key")
    assert (("extra-parameters", "pass-through") in made.headers) is ("endpoint" in options)


@pytest.mark.parametrize(
    ("version", "asked"),
    [("2023-07-01-preview", False), ("2024-02-01", False), ("2024-10-21", True), ("", True)],
)
def test_usage_is_asked_for_where_the_version_knows_it(version: str, asked: bool) -> None:
    """Older ones answer with 400."""
    options = {"api_version": version} if version else {}

    assert ("stream_options" in json.loads(sent(**options).body)) is asked


def test_a_key_needs_no_entra() -> None:
    """Nor does a provider that does not ask for it; nothing is imported."""
    assert azure.authorizer({"entra": True}, "key", unsent) is None
    assert azure.authorizer({}, "", unsent) is None
    assert azure.authorize(Target("m", "", (("a", "b"),))) == (("a", "b"),)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name."""
    monkeypatch.setitem(sys.modules, "azure", None)

    with pytest.raises(ValueError, match="azure-identity"):
        azure.authorizer({"entra": True}, "", unsent)


class AzureError(Exception):
    """What azure-core raises."""


class Identity:
    """What azure-identity makes."""

    def __init__(self, **secret: str) -> None:
        self.secret = secret

    async def get_token(self, scope: str) -> Any:
        if self.secret.get("client_secret") == "wrong":
            raise AzureError("with details nobody should see")
        return SimpleNamespace(token=f"{self.secret.get('tenant_id', 'default')} {scope}")


@pytest.fixture
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, dict[str, object]] = {
        "azure": {},
        "azure.identity": {},
        "azure.identity.aio": {
            "ClientSecretCredential": Identity,
            "DefaultAzureCredential": Identity,
        },
        "azure.core": {},
        "azure.core.exceptions": {"AzureError": AzureError},
    }
    for name, members in made.items():
        module = ModuleType(name)
        module.__path__ = []
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("_identity")
@pytest.mark.parametrize(
    ("wanted", "token"),
    [
        (True, f"Bearer default {azure.SCOPE}"),
        ({"tenant_id": "t", "client_id": "c", "client_secret": "s", "scope": "x"}, "Bearer t x"),
    ],
)
async def test_entra_gives_tokens(wanted: Any, token: str) -> None:
    """By whatever this machine is, or by an application's secret."""
    made = azure.authorizer({"entra": wanted}, "", unsent)

    assert made is not None
    assert await made.headers(sent(), "https://x.openai.azure.com") == (("authorization", token),)


@pytest.mark.usefixtures("_identity")
async def test_no_token_is_our_credentials_fault() -> None:
    """The client learns no details."""
    made = azure.authorizer({"entra": {"client_secret": "wrong"}}, "", unsent)

    assert made is not None
    with pytest.raises(UpstreamAuth, match=r"^no token could be had from Entra ID$"):
        await made.headers(sent(), "https://x.openai.azure.com")
