"""Replicate: images that are asked for until they are there."""

from __future__ import annotations

import json

import pytest
from openai.types import ImagesResponse

from adapters import replicate
from proxy.adapter import Target, UpstreamResponse
from proxy.errors import InvalidRequest, UpstreamBadResponse
from proxy.wire import Request

DRAW = replicate.operations["images"]


def test_a_prediction_is_asked_for() -> None:
    """OpenAI's members by their other names, the model's own as they are."""
    body = b'{"model":"m","prompt":"cat","n":2,"size":"64x32","go_fast":true,"quality":"hd"}'
    made = DRAW.request(Request(body), Target("org/flux", "t"))

    assert made.path == "/models/org/flux/predictions"
    assert json.loads(made.body) == {
        "input": {"prompt": "cat", "num_outputs": 2, "go_fast": True, "width": 64, "height": 32}
    }
    assert [each.name for each in made.dropped] == ["quality"]
    assert made.safe is False


def test_a_version_has_a_path_of_its_own() -> None:
    """And stands in the body."""
    made = DRAW.request(Request(b'{"model":"m","prompt":"cat"}'), Target("org/flux:abc", "t"))

    assert made.path == "/predictions"
    assert json.loads(made.body) == {"version": "abc", "input": {"prompt": "cat"}}


def test_a_size_is_two_numbers() -> None:
    """Anything else is the client's mistake."""
    with pytest.raises(InvalidRequest, match="size"):
        DRAW.request(Request(b'{"model":"m","size":"big"}'), Target("org/flux"))


@pytest.mark.parametrize("status", ["starting", "processing"])
def test_it_is_asked_again_while_it_works(status: str) -> None:
    """With our credential, at the prediction's own path."""
    body = json.dumps({"id": "p/1", "status": status}).encode()
    assert DRAW.follow is not None
    found = DRAW.follow(UpstreamResponse(201, (), body), Target("m", "t"))

    assert found is not None
    assert (found.request.method, found.request.path) == ("GET", "/predictions/p%2F1")
    assert found.request.headers == (("authorization", "Bearer t"),)
    assert found.wait_s == replicate.POLL_S


@pytest.mark.parametrize("status", ["succeeded", "failed", "canceled"])
def test_it_is_not_asked_again_when_it_is_over(status: str) -> None:
    """However it ended."""
    body = json.dumps({"id": "p", "status": status}).encode()
    assert DRAW.follow is not None
    assert DRAW.follow(UpstreamResponse(200, (), body), Target("m")) is None


def test_one_output_is_a_list_of_one() -> None:
    """In a form OpenAI's types take."""
    body = b'{"id":"p","status":"succeeded","output":"https://a.example/1.png"}'
    found = ImagesResponse.model_validate_json(
        DRAW.response(UpstreamResponse(200, (), body), 7).body
    )

    assert found.data is not None
    assert [each.url for each in found.data] == ["https://a.example/1.png"]
    with pytest.raises(UpstreamBadResponse):
        DRAW.response(UpstreamResponse(200, (), b"[]"), 7)
