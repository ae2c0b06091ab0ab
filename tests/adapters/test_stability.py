"""Stability: forms out, images and shapes in."""

from __future__ import annotations

import email.parser
import email.policy
import json
from typing import Any

import pytest

from adapters import stability
from proxy.adapter import Media, Target, UpstreamRequest, UpstreamResponse, header
from proxy.errors import InvalidRequest, UpstreamAuth, UpstreamBadResponse
from proxy.wire import Request


def sent(operation: str, model: str, body: dict[str, Any], **media: Media) -> UpstreamRequest:
    """Return what is sent for `body`."""
    request = Request(json.dumps({"model": "m", **body}).encode())
    target = Target(
        model, "k", media={f"https://{name}.example": file for name, file in media.items()}
    )
    return stability.operations[operation].request(request, target)


def form(request: UpstreamRequest) -> dict[str, bytes]:
    """Read a form as a standard library does."""
    kind = header(request.headers, "content-type") or ""
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    message = parser.parsebytes(f"content-type: {kind}\r\n\r\n".encode() + request.body)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in message.iter_parts()
    }


def test_an_image_is_asked_for_by_a_form() -> None:
    """With the ratio nearest to the size, which is told."""
    made = sent(
        "images", "core", {"prompt": "a Katze\u00e9", "size": "1792x1024", "n": 1, "seed": 3}
    )

    assert made.path == "/v2beta/stable-image/generate/core"
    assert header(made.headers, "accept") == "application/json"
    assert form(made) == {
        "prompt": "a Katze\u00e9".encode(),
        "seed": b"3",
        "aspect_ratio": b"16:9",
    }
    assert [each.name for each in made.dropped] == ["size"]


def test_some_models_share_a_path() -> None:
    """Their name is a field, and what the service does not know is dropped."""
    made = sent(
        "images", "sd3.5-large", {"prompt": "a", "aspect_ratio": "1:1", "quality": "hd", "n": 2}
    )

    assert made.path == "/v2beta/stable-image/generate/sd3"
    assert form(made) == {"prompt": b"a", "aspect_ratio": b"1:1", "model": b"sd3.5-large"}
    assert [each.name for each in made.dropped] == ["quality", "n"]
    with pytest.raises(InvalidRequest, match="size"):
        sent("images", "core", {"prompt": "a", "size": "0x1"})


@pytest.mark.parametrize("image", ["aGk=", "data:image/png;base64,aGk=", "https://a.example"])
def test_a_shape_is_made_of_an_image(image: str) -> None:
    """Sent as base64, as a data URL, or fetched before."""
    made = sent(
        "3d", "stable-fast-3d", {"image": image, "remesh": "quad"}, a=Media("image/png", b"hi")
    )

    assert made.path == "/v2beta/3d/stable-fast-3d"
    assert form(made) == {"remesh": b"quad", "image": b"hi"}


def test_a_shape_comes_as_bytes() -> None:
    """A binary file of the kind the service says."""
    shape = stability.operations["3d"]
    given = UpstreamResponse(200, (("content-type", "model/gltf-binary"),), b"glTF\x02")

    assert shape.response(given, 0).content_type == "model/gltf-binary"
    assert shape.response(given, 0).body == b"glTF\x02"


def test_only_urls_are_fetched() -> None:
    """What is in the request already is not."""
    media = stability.operations["3d"].media
    assert media is not None
    assert media(Request(b'{"model":"m","image":"https://a.example/x"}')) == (
        "https://a.example/x",
    )
    assert media(Request(b'{"model":"m","image":"data:,"}')) == ()
    with pytest.raises(InvalidRequest, match="image"):
        sent("3d", "stable-fast-3d", {"image": "no base64!"})


@pytest.mark.parametrize("body", [b"[]", b'{"finish_reason":"SUCCESS"}'])
def test_no_image_is_no_answer(body: bytes) -> None:
    """Whatever came in its place."""
    with pytest.raises(UpstreamBadResponse):
        stability.operations["images"].response(UpstreamResponse(200, (), body), 0)


def test_a_refusal_without_words_has_its_status() -> None:
    """A 403 that is no moderation is about our key."""
    assert isinstance(stability.error(UpstreamResponse(403, (), b"<html>")), UpstreamAuth)
