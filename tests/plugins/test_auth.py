"""Who is let in."""

from __future__ import annotations

import pytest

from plugins.auth import Auth
from proxy.errors import InvalidApiKey
from proxy.exchange import ANYONE, Exchange
from proxy.keys import KeyEntry, Keyring

KEY = "hg-5f0c1d77aa"
KEYS = Keyring.of([KeyEntry("me", value=KEY, user="ann", team="red")])


def exchange(**headers: str) -> Exchange:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange("id", "chat", "POST", "/v1/chat/completions", named, 0.0, 0.0)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer   {KEY} "},
        {"x_api_key": KEY},
        {"api_key": KEY},
        {"x_goog_api_key": KEY},
        {"authorization": "Basic dXNlcjpwYXNz", "x_api_key": KEY},
        {"authorization": "Bearer ", "api_key": KEY},
        {"sec_websocket_protocol": f"realtime, openai-insecure-api-key.{KEY}, openai-beta.v1"},
    ],
)
async def test_a_key_is_read_wherever_an_sdk_puts_it(headers: dict[str, str]) -> None:
    """Every vendor's SDK has its own header; browsers have only a websocket's subprotocols."""
    x = exchange(**headers)

    assert await Auth(keys=KEYS).pre(x) is None
    assert (x.key.name, x.key.user, x.key.team) == ("me", "ann", "red")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": KEY},
        {"sec_websocket_protocol": "realtime"},
    ],
)
async def test_without_a_key_the_answer_says_where_to_put_it(headers: dict[str, str]) -> None:
    """Who forgot the key is told how to send it."""
    x = exchange(**headers)
    with pytest.raises(InvalidApiKey, match="no API key was sent; send it as `authorization"):
        await Auth(keys=KEYS).pre(x)
    assert x.key is ANYONE


@pytest.mark.parametrize("secret", ["sk-of-a-vendor", KEY[:-1], KEY + "x", "\udcff", "x" * 8000])
async def test_a_key_nobody_has_is_refused_and_not_repeated(secret: str) -> None:
    """It may be a vendor's real key, sent here by mistake."""
    with pytest.raises(InvalidApiKey, match="not known here") as caught:
        await Auth(keys=KEYS).pre(exchange(authorization=f"Bearer {secret}"))

    assert caught.value.status == 401
    assert caught.value.headers == {"www-authenticate": "Bearer"}
    assert secret not in str(caught.value.document("id"))


async def test_the_first_key_counts() -> None:
    """A wrong bearer token is not healed by another header: what was meant is not guessed."""
    with pytest.raises(InvalidApiKey):
        await Auth(keys=KEYS).pre(exchange(authorization="Bearer wrong", x_api_key=KEY))


async def test_without_configured_keys_nobody_is_let_in() -> None:
    """A forgotten list of keys must not open the gateway."""
    with pytest.raises(InvalidApiKey):
        await Auth(keys=Keyring.of([])).pre(exchange(authorization=f"Bearer {KEY}"))
