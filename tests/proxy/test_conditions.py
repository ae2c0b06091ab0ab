"""Whether a condition holds of an exchange."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.conditions import compile_condition, describe
from proxy.config.resilience import Condition
from proxy.exchange import ClientKey, Exchange
from tests.fakes import exchange


def asked(body: bytes = b'{"model":"m"}', **known: Any) -> Exchange:
    """Return an exchange with these members."""
    made = exchange(body)
    for name, value in known.items():
        setattr(made, name, value)
    return made


GOLD = asked(headers={"x-tier": "gold-1"}, tags={"env": "prod"}, key=ClientKey("k1", team="red"))


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        (Condition(header={"X-Tier": "gold*"}), True),
        (Condition(header={"x-tier": "gold"}), False),
        (Condition(header={"x-other": "*"}), False),
        (Condition(tag={"env": "prod"}), True),
        (Condition(tag={"env": "dev"}), False),
        (Condition(tag={"none": "*"}), False),
        (Condition(key=["k2", "k?"]), True),
        (Condition(key=["k2"]), False),
        (Condition(team=["red"]), True),
        (Condition(team=["blue"]), False),
        (Condition(team=["red"], tag={"env": "prod"}, header={"x-tier": "gold-1"}), True),
        (Condition(team=["red"], tag={"env": "dev"}), False),
        (Condition(task=["chat"]), True),
        (Condition(task=["code", "vision"]), False),
    ],
)
def test_all_that_is_given_must_hold(given: Condition, holds: bool) -> None:
    """Of several names any will do."""
    assert compile_condition(given)(GOLD) is holds


BODY = (
    b'{"model":"m","max_tokens":2000,"stream":true,"user":"u-7","temperature":0.5,'
    b'"metadata":{"tier":"gold","a/b":[1,{"c":"x"}]},"nothing":null,"text":"5"}'
)


@pytest.mark.parametrize(
    ("where", "wanted", "holds"),
    [
        ("/max_tokens", ">= 2000", True),
        ("/max_tokens", ">2000", False),
        ("/max_tokens", "< 1e4", True),
        ("/max_tokens", "<= 1999", False),
        ("/max_tokens", 2000, True),
        ("/max_tokens", "!= 2000", False),
        ("/max_tokens", "!= 1", True),
        ("/missing", "!= 1", True),
        ("/temperature", 0.5, True),
        ("/stream", True, True),
        ("/stream", 1, False),
        ("/user", "u-*", True),
        ("/user", "U-*", False),
        ("/user", "*", True),
        ("/nothing", "*", False),
        ("/missing", "*", False),
        ("/missing", None, True),
        ("/metadata/tier", "gold", True),
        ("/metadata/a~1b/1/c", "x", True),
        ("/metadata/a~1b/0", 1, True),
        ("/metadata/a~1b/9", "*", False),
        ("/metadata/a~1b/x", "*", False),
        ("/metadata/tier/deeper", "*", False),
        ("/text", "> 1", False),
        ("/stream", "> 0", False),
    ],
)
def test_a_member_of_the_body_is_compared(where: str, wanted: object, holds: bool) -> None:
    """By value, by pattern or as a number; what is not there or of another type does not hold."""
    assert compile_condition(Condition(body={where: wanted}))(asked(BODY)) is holds


def test_without_a_body_only_what_must_be_missing_holds() -> None:
    """As for a request that is passed through unread."""
    unread = asked()
    unread.request = None

    assert compile_condition(Condition(body={"/a": None}))(unread) is True
    assert compile_condition(Condition(body={"/a": "*"}))(unread) is False


def test_it_can_be_said_in_one_line() -> None:
    """For who asks why."""
    given = Condition(header={"x": "1*"}, body={"/n": "> 5"}, task=["code", "long"])

    assert describe(given) == "header x is 1* and /n is > 5 and task is code or long"
