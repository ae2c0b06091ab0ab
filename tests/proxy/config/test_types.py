"""Secrets, and mappings that may hold some."""

from __future__ import annotations

import json
import pickle

import msgspec
import pytest

from proxy.config.types import Secret, Veiled


def test_a_secret_shows_itself_only_when_asked() -> None:
    """However it is printed, logged or formatted."""
    secret = Secret("sk-1")
    assert {str(secret), repr(secret), f"{secret}", f"{secret!s}"} == {"***"}
    assert f"{[secret]}" == "[***]"
    assert secret.reveal() == "sk-1"


def test_a_secret_does_not_slip_into_json() -> None:
    """Encoders refuse it."""
    with pytest.raises(TypeError):
        json.dumps(Secret("sk-1"))
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret("sk-1"))


def test_secrets_are_compared_by_what_they_hold() -> None:
    """So that a provider whose credential changed is another one."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a")
    assert not Secret()


def test_a_veiled_mapping_shows_its_keys_only() -> None:
    """Headers and options often hold a key."""
    veiled = Veiled({"x-api-key": "sk-1"})
    assert repr(veiled) == str(veiled) == "{'x-api-key': ***}"
    assert veiled == {"x-api-key": "sk-1"}
    assert pickle.loads(pickle.dumps(veiled)) == veiled
