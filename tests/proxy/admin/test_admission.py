"""Who may use the administration."""

from __future__ import annotations

import pytest

from proxy.admin.admission import admit
from proxy.config.structs import Config, Server
from proxy.errors import GatewayError, InvalidApiKey, NotAllowed
from proxy.exchange import ANYONE
from proxy.keys import KeyEntry, Keyring

KEYS = Keyring.of([KeyEntry("boss", "b", admin=True), KeyEntry("tests", "t")])
NONE = Keyring.of([])
HERE = {"host": "127.0.0.1:8080"}


def asked(
    keys: Keyring, headers: dict[str, str], peer: str = "127.0.0.1", host: str = "127.0.0.1"
) -> object:
    try:
        return admit(Config(server=Server(host=host)), keys, headers, peer)
    except GatewayError as error:
        return type(error)


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
def test_an_admins_key_is_let_in_from_anywhere(header: str) -> None:
    """It may come in any of the places where SDKs send one."""
    value = "Bearer b" if header == "authorization" else "b"
    found = asked(KEYS, {header: value, "host": "gateway.example"}, "203.0.113.5", "0.0.0.0")
    assert found.name == "boss"


def test_other_keys_are_not() -> None:
    """A client's is forbidden, nobody's is unknown; loopback makes no difference."""
    assert asked(KEYS, {**HERE, "x-api-key": "t"}) is NotAllowed
    assert asked(KEYS, {**HERE, "x-api-key": "x"}) is InvalidApiKey
    assert asked(KEYS, HERE) is InvalidApiKey


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.0.1", "::1"])
def test_without_keys_this_machine_is_let_in(peer: str) -> None:
    """A first try needs no configuration."""
    assert asked(NONE, HERE, peer) is ANYONE


@pytest.mark.parametrize(
    ("headers", "peer", "host"),
    [
        (HERE, "192.0.2.7", "127.0.0.1"),
        (HERE, "", "127.0.0.1"),
        (HERE, "127.0.0.1", "0.0.0.0"),
        (HERE, "127.0.0.1", "gateway.example"),
        ({}, "127.0.0.1", "127.0.0.1"),
        ({"host": "127.0.0.1.example"}, "127.0.0.1", "127.0.0.1"),
        ({"host": "localhost.example"}, "127.0.0.1", "127.0.0.1"),
        ({**HERE, "origin": "https://127.0.0.1.example"}, "127.0.0.1", "127.0.0.1"),
        ({**HERE, "origin": ""}, "127.0.0.1", "127.0.0.1"),
        ({**HERE, "forwarded": "for=192.0.2.1"}, "127.0.0.1", "127.0.0.1"),
        ({**HERE, "via": "1.1 proxy"}, "127.0.0.1", "127.0.0.1"),
        ({"host": "[::1"}, "127.0.0.1", "127.0.0.1"),
    ],
)
def test_without_keys_nobody_else_is(headers: dict[str, str], peer: str, host: str) -> None:
    """Pages in a browser, proxies, other machines, and gateways that others reach."""
    assert asked(NONE, headers, peer, host) is NotAllowed
