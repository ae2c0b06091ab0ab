"""Credentials that sign or expire, on requests as vendors get them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import openai
import pytest

from adapters.azure import SCOPE, Entra
from proxy.errors import UpstreamAuth
from tests.e2e.stage import Stage
from tests.e2e.vendors import azure, bedrock
from tests.e2e.vendors.fleet import VENDORS
from tests.e2e.vendors.replay import Said
from tests.e2e.vendors.stand import standing

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
    monkeypatch.setattr("adapters.azure.authorizer", lambda options, credential: entra)
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
