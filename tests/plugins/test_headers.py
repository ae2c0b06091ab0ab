"""Headers set and removed."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.headers import Headers
from proxy.exchange import Exchange


def exchange(**headers: str) -> Exchange:
    return Exchange("id", "chat", "POST", "/v1/chat/completions", headers, 0.0, 0.0)


async def test_the_vendor_gets_what_is_set_and_not_what_is_removed() -> None:
    """Names in any case; what is not named stays."""
    x = exchange(referer="r", other="o", org="old")
    plugin = Headers(request={"set": {"Org": "new", "X-Title": "gate"}, "remove": ["Referer"]})
    await plugin.pre(x)

    assert x.headers == {"other": "o", "org": "new", "x-title": "gate"}


async def test_the_client_gets_what_is_set_on_any_answer() -> None:
    """Also on an error or a stream, which no `post` sees; another plugin's value is replaced."""
    x = exchange()
    x.response_headers = [("x-frame", "old"), ("x-kept", "1")]
    await Headers(response={"set": {"X-Frame": "new"}}).pre(x)

    assert x.response_headers == [("x-kept", "1"), ("x-frame", "new")]


async def test_the_vendors_headers_that_are_removed_are_noted_for_any_answer() -> None:
    """A stream's head goes out without a `post`, so the gateway itself has to know."""
    x = exchange()
    x.response_headers = [("x-b", "another plugin's")]
    await Headers(response={"set": {"x-a": "ours"}, "remove": ["X-B"]}).pre(x)

    assert (x.response_headers, x.response_removed) == ([("x-a", "ours")], {"x-b"})


async def test_without_options_nothing_changes() -> None:
    """The plugin may be listed and left empty."""
    x = exchange(a="1")
    await Headers().pre(x)

    assert (x.headers, x.response_headers, x.response_removed) == ({"a": "1"}, [], set())


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"set": {"a b": "x"}}, "'a b'"),
        ({"set": {"": "x"}}, "name of a header"),
        ({"set": {"a\r\nb": "x"}}, "name of a header"),
        ({"set": {"x-a": "1\r\nset-cookie: 2"}}, "x-a"),
        ({"set": {"x-a": "1\x00"}}, "x-a"),
        ({"set": {"x-a": "\udcff"}}, "x-a"),
        ({"set": {"x-a": 1}}, "x-a"),
        ({"set": {"Authorization": "Bearer x"}}, "Authorization"),
        ({"set": {"X-Api-Key": "x"}}, "X-Api-Key"),
        ({"set": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding"),
        ({"remove": ["Content-Length"]}, "Content-Length"),
        ({"remove": ["Host"]}, "Host"),
        ({"remove": [1]}, "1"),
        ({"remove": "x-a"}, "remove"),
        ({"set": ["x-a"]}, "set"),
        ({"set": {"x-a": "1"}, "remove": ["X-A"]}, "both"),
        ({"add": {"x-a": "1"}}, "`set` and `remove`"),
        (["x-a"], "`set` and `remove`"),
    ],
)
def test_a_wrong_rule_is_refused_at_the_start(side: str, rules: Any, says: str) -> None:
    """Nothing that could split a message, break a connection or hand out a key."""
    with pytest.raises((TypeError, ValueError), match=says):
        Headers(**{side: rules})
