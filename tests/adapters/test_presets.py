"""Vendors that are rows of a table."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from adapters._presets import presets
from adapters.openai import PATHS
from proxy import registry
from proxy.adapter import Target
from proxy.wire import Request


@pytest.mark.parametrize("name", sorted(presets))
def test_a_row_says_where_its_vendor_is(name: str) -> None:
    """Over TLS, except for servers on this machine, which need no credential either."""
    defaults = registry.adapter(name).defaults
    url = urlsplit(defaults.base_url)

    assert not url.path.endswith("/")
    if url.hostname == "localhost":
        assert url.scheme == "http"
        assert not defaults.credential_variable
    else:
        assert url.scheme == "https"
        assert defaults.credential_variable.endswith("_KEY")


@pytest.mark.parametrize("name", sorted(presets))
def test_a_row_serves_what_it_says(name: str) -> None:
    """Each operation builds a request at its path; most vendors chat."""
    adapter = registry.adapter(name)
    request = Request(b'{"model":"m","messages":[{"role":"developer","content":"x"}],"input":"x"}')

    for operation, served in adapter.operations.items():
        made = served.request(request, Target("theirs", "key"))
        assert made.path.endswith(PATHS[operation])
        assert json.loads(made.body)["model"] == "theirs"
        assert not made.dropped
    assert adapter.authorize(Target("m", "key")) == (("authorization", "Bearer key"),)


def test_a_name_may_be_another_rows() -> None:
    """With the dot its makers write."""
    assert registry.adapter("llama.cpp").defaults == registry.adapter("llamacpp").defaults


def test_what_a_row_drops_is_told() -> None:
    """The vendor would answer it with 400."""
    request = Request(b'{"model":"m","messages":[],"logprobs":true,"logit_bias":{"1":1}}')
    made = registry.adapter("groq").operations["chat"].request(request, Target("m"))

    assert [each.name for each in made.dropped] == ["logit_bias", "logprobs"]
    assert json.loads(made.body) == {"model": "m", "messages": []}


@pytest.mark.parametrize("name", ["groq", "cerebras"])
def test_thoughts_of_another_vendor_do_not_go_to_one_that_refuses_them(name: str) -> None:
    """A client sends back what it got; the rest of its message stays as it is."""
    turn = b'{"role":"assistant","content":"hi","reasoning_content":"hm","thinking_blocks":[{}]}'
    request = Request(b'{"model":"m","messages":[%b]}' % turn)
    sent = registry.adapter(name).operations["chat"].request(request, Target("m")).body

    assert json.loads(sent)["messages"] == [{"role": "assistant", "content": "hi"}]
    kept = registry.adapter("deepseek").operations["chat"].request(request, Target("m")).body
    assert json.loads(kept)["messages"] == [json.loads(turn)]
