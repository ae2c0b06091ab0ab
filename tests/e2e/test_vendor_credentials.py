"""Credentials that sign or expire, on requests as vendors get them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import aiohttp
import openai
import pytest

from adapters import _copilot
from adapters.azure import SCOPE, Entra
from proxy.config.structs import Credential
from proxy.config.types import Secret
from proxy.errors import UpstreamAuth
from tests.e2e.stage import KEY, Gate, Stage
from tests.e2e.vendors import azure, bedrock, openai_preset
from tests.e2e.vendors.fleet import VENDORS
from tests.e2e.vendors.replay import Answer, Replay, Said, document
from tests.e2e.vendors.stand import HELLO, standing

ACCESS, SECRET = "AKIDOFTHETESTS", "a-secret-that-signs"


async def test_requests_to_bedrock_are_signed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an API key, for the region of the options, with what the patches made of the body."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session")
    vendor: Any = VENDORS["bedrock"]
    patched = {"extra_body": {"requestMetadata": {"team": "tests"}}}
    async with standing(stage, vendor, patched, credentials=[]) as stand:
        message, _ = await stand.say(Said("Signed."), stream=True)
        asked = stand.replay.last
    assert message["content"] == "Signed."
    signed = asked.headers["authorization"]
    scope = f"Credential={ACCESS}/[0-9]{{8}}/eu-central-1/bedrock/aws4_request"
    assert re.match(f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=.*host.*Signature=", signed)
    assert asked.headers["x-amz-security-token"] == "a-session"
    assert SECRET not in str(asked.headers)
    assert asked.line == f"POST {bedrock.PATHS[1]} HTTP/1.1"


class Token(NamedTuple):
    token: str


class Identity:
    """Stands for azure-identity's."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    async def get_token(self, scope: str) -> Token:
        """Give one, or refuse the second."""
        self.scopes.append(scope)
        if len(self.scopes) > 1:
            raise ValueError("the secret has expired: s3cr3t")
        return Token("eyJ0.of.entra")


async def test_requests_to_azure_carry_tokens(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for each request as it is needed; none to be had is the gateway's fault."""
    identity = Identity()
    entra = Entra(identity, ValueError, SCOPE)
    monkeypatch.setattr("adapters.azure.authorizer", lambda *_: entra)
    vendor: Any = VENDORS["azure"]
    async with standing(stage, vendor, credentials=[]) as stand:
        await stand.say(Said("Known."), stream=False)
        asked = stand.replay.last
        with pytest.raises(openai.InternalServerError) as raised:
            await stand.say(Said("Unknown."), stream=False)
        assert len(stand.replay.requests) == 1
    assert asked.line == f"POST {azure.PATHS[0]} HTTP/1.1"
    assert asked.headers["authorization"] == "Bearer eyJ0.of.entra"
    assert "api-key" not in asked.headers
    assert identity.scopes == [SCOPE, SCOPE]
    assert (raised.value.status_code, raised.value.code) == (502, UpstreamAuth.code)
    assert "s3cr3t" not in raised.value.response.text


def _copilots(copilot: Replay, github: Replay, **credential: Any) -> dict[str, Any]:
    """Return a provider that is Copilot, with one GitHub token."""
    token = Credential(value=Secret("gho_of-the-operator"), **credential)
    return {
        "adapter": "github",
        "base_url": copilot.url,
        "options": {"copilot": {"api_url": github.url}},
        "credentials": [token],
    }


def _grant(token: str, endpoint: str = "") -> Answer:
    endpoints = {"endpoints": {"api": endpoint}} if endpoint else {}
    return document({"token": token, "refresh_in": 1500, **endpoints})


async def _chat(gate: Gate, model: str = "gpt-5-mini") -> Any:
    async with gate.client() as client:
        return await client.chat.completions.create(model=model, messages=HELLO)


async def test_copilot_gets_a_token_that_github_gave(stage: Stage) -> None:
    """One exchange for two requests; the client's own user agent is not the editor's."""
    async with Replay() as github, Replay() as copilot:
        github.answers = [_grant("tid=of-copilot")]
        copilot.answers = [openai_preset.whole(Said("Hi."))] * 2
        gate = await stage.open(vendors=(), providers={"copilot": _copilots(copilot, github)})
        for _ in range(2):
            assert (await _chat(gate)).choices[0].message.content == "Hi."
        (exchange,) = github.requests
        assert exchange.line == "GET /copilot_internal/v2/token HTTP/1.1"
        assert exchange.headers["authorization"] == "token gho_of-the-operator"
        for asked in copilot.requests:
            assert asked.headers["authorization"] == "Bearer tid=of-copilot"
            assert asked.headers["user-agent"].startswith("GitHubCopilotChat/")
            assert "gho_" not in str(asked)


async def test_what_passes_unread_has_the_token_too(stage: Stage) -> None:
    """Uploads, lists and whatever else the vendor has."""
    async with Replay() as github, Replay() as copilot:
        github.answers = [_grant("tid=of-copilot")]
        copilot.answers = [document({"data": []})]
        gate = await stage.open(vendors=(), providers={"copilot": _copilots(copilot, github)})
        headers = {"authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{gate.url}/threads") as reply,
        ):
            assert reply.status == 200
        assert copilot.last.headers["authorization"] == "Bearer tid=of-copilot"


async def test_each_account_is_asked_where_its_own_token_is_good(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two credentials of one provider may belong to seats of different kinds."""
    async with Replay() as github, Replay() as copilot, Replay() as business:
        monkeypatch.setattr(_copilot, "OWN", re.compile(re.escape(copilot.url)))
        provider = _copilots(copilot, github, models=["one"])
        other = Credential(value=Secret("gho_of-the-business"), models=["two"])
        provider["credentials"].append(other)
        github.answers = [_grant("tid=1"), _grant("tid=2", business.url)]
        copilot.answers = [openai_preset.whole(Said("Single."))]
        business.answers = [openai_preset.whole(Said("Business."))]
        gate = await stage.open(vendors=(), providers={"copilot": provider})
        found = [(await _chat(gate, model)).choices[0].message.content for model in ("one", "two")]
        assert found == ["Single.", "Business."]
        assert copilot.last.headers["authorization"] == "Bearer tid=1"
        assert business.last.headers["authorization"] == "Bearer tid=2"
        named = [asked.headers["authorization"] for asked in github.requests]
        assert named == ["token gho_of-the-operator", "token gho_of-the-business"]


async def test_a_token_that_github_refuses_is_the_gateways_fault(stage: Stage) -> None:
    """And goes no further."""
    async with Replay() as github, Replay() as copilot:
        github.answers = [document({"message": "Bad credentials"}, 401)]
        gate = await stage.open(vendors=(), providers={"copilot": _copilots(copilot, github)})
        with pytest.raises(openai.InternalServerError) as raised:
            await _chat(gate)
        assert (raised.value.status_code, raised.value.code) == (502, UpstreamAuth.code)
        assert "status 401" in str(raised.value)
        assert "gho_" not in raised.value.response.text
        assert not copilot.requests
