"""Text completions: what is read of a request, and what is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion

from proxy.completions import Choice, Pieces, completion, lost, prompt
from proxy.errors import InvalidRequest
from proxy.wire import Chunk, Request, Usage


def asked(**members: Any) -> Request:
    """Return a request."""
    return Request(json.dumps({"model": "m", **members}).encode())


def typed(chunk: Chunk) -> Completion:
    """Return a chunk as the SDK's type, which has no word for an open end."""
    document = json.loads(chunk.data)
    for choice in document["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return Completion.model_validate(document)


def test_one_prompt_is_a_text_or_a_list_of_it() -> None:
    """An empty one is a prompt too."""
    assert prompt(asked(prompt="def f(")) == "def f("
    assert prompt(asked(prompt=["def f("])) == "def f("
    assert prompt(asked(prompt="")) == ""


@pytest.mark.parametrize("given", [None, [], ["a", "b"], [1, 2], [[1]], 5, {}])
def test_other_prompts_are_refused(given: Any) -> None:
    """Several would be several calls; tokens are of one model."""
    with pytest.raises(InvalidRequest) as caught:
        prompt(asked(prompt=given))
    assert caught.value.param == "prompt"
    with pytest.raises(InvalidRequest):
        prompt(asked())


def test_what_asks_for_nothing_is_not_lost() -> None:
    """What a vendor would do anyway needs no parameter."""
    neutral = {"n": 1, "best_of": 1, "echo": False, "presence_penalty": 0, "logit_bias": {}}
    request = asked(prompt="a", suffix="b", user="u", stream=True, logprobs=None, **neutral)
    assert lost(request, {"suffix"}, "because") == []
    request = asked(prompt="a", n=2, echo=True, suffix="b", frequency_penalty=0.0)
    assert [tuple(each) for each in lost(request, (), "because")] == [
        ("n", "because"),
        ("echo", "because"),
        ("suffix", "because"),
    ]


def test_a_whole_completion_is_openais() -> None:
    """A choice each, and usage where it is known."""
    likely = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{}], "text_offset": [0]}
    choices = [Choice("a", "stop", likely), Choice("b", "length")]
    response = completion("cmpl-1", "m", 7, choices, Usage(3, output_tokens=2))
    found = Completion.model_validate_json(response.body)
    assert [(each.index, each.text, each.finish_reason) for each in found.choices] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]
    assert found.choices[0].logprobs is not None
    assert found.choices[0].logprobs.tokens == ["a"]
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.total_tokens) == (3, 5)
    assert response.usage == Usage(3, output_tokens=2)
    assert "usage" not in json.loads(completion("c", "m", 7, choices, None).body)


def test_chunks_have_the_same_shape() -> None:
    """A piece, an end, and usage by itself; each is an event."""
    pieces = Pieces("cmpl-1", "m", 7)
    text, end, usage = pieces.text("a«", 1), pieces.finish("length", 1), pieces.usage(Usage(3))
    for chunk in (text, end, usage):
        found = typed(chunk)
        assert (found.id, found.object, found.created, found.model) == (
            *("cmpl-1", "text_completion", 7, "m"),
        )
        assert chunk.block == b"data: %b\n\n" % chunk.data
    assert (typed(text).choices[0].text, typed(text).choices[0].index) == ("a«", 1)
    assert json.loads(text.data)["choices"][0]["finish_reason"] is None
    assert (typed(end).choices[0].text, typed(end).choices[0].finish_reason) == ("", "length")
    assert usage.usage_only
    assert not usage.content
    assert typed(usage).choices == []
