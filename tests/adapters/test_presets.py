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


def test_a_speaker_without_a_name_is_told() -> None:
    """The vendor would answer a name with 400; names of functions are no speakers'."""
    call = b'{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}'
    turns = b'{"role":"user","name":"ann","content":"hi"},{"role":"assistant","tool_calls":[%b]}'
    request = Request(b'{"model":"m","messages":[%b]}' % (turns % call))
    made = registry.adapter("groq").operations["chat"].request(request, Target("m"))

    user, assistant = json.loads(made.body)["messages"]
    assert user == {"role": "user", "content": "hi"}
    assert assistant["tool_calls"][0]["function"]["name"] == "f"
    assert [each.name for each in made.dropped] == ["messages[].name"]
    kept = registry.adapter("nebius").operations["chat"].request(request, Target("m"))
    assert kept.body == request.body


def test_a_middle_is_filled_in_where_the_vendor_has_that() -> None:
    """Prompt and suffix as they came, at the path of a beta."""
    request = Request(b'{"model":"m","prompt":"def f(","suffix":"return x","max_tokens":9}')
    made = registry.adapter("deepseek").operations["completions"].request(request, Target("v4"))

    assert made.path == "/beta/completions"
    assert made.body == request.body.replace(b'"m"', b'"v4"')


@pytest.mark.parametrize(
    ("vendor", "operation", "given", "sent"),
    [
        ("voyage", "embeddings", {"dimensions": 256}, {"output_dimension": 256}),
        ("voyage", "rerank", {"top_n": 3}, {"top_k": 3}),
        ("zai", "chat", {"max_completion_tokens": 9}, {"max_tokens": 9}),
        ("alibaba", "chat", {"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        ("sambanova", "chat", {"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
    ],
)
def test_a_member_has_the_vendors_name(
    vendor: str, operation: str, given: dict[str, int], sent: dict[str, int]
) -> None:
    """And keeps OpenAI's where the vendor documents it."""
    request = Request(json.dumps({"model": "m", **given}).encode())
    made = registry.adapter(vendor).operations[operation].request(request, Target("m"))

    assert json.loads(made.body) == {"model": "m", **sent}
    assert not made.dropped


def test_what_a_vendor_silently_ignores_is_told_by_us() -> None:
    """Who wants all or nothing must learn of it."""
    request = Request(b'{"model":"m","messages":[],"presence_penalty":1}')
    made = registry.adapter("sambanova").operations["chat"].request(request, Target("m"))

    assert [tuple(each) for each in made.dropped] == [
        ("presence_penalty", "ignored by this provider")
    ]
