"""Pictures, sounds, moderations."""

import base64
import io
import json
import wave
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from proxy.sim import media
from proxy.sim.behaviour import Behaviour
from proxy.sim.face import Inquiry, World
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer

WORLD = World(Behaviour(), 0)


def ask(operation: Callable[[Inquiry, World], Answer], document: Any) -> Answer:
    return operation(Inquiry("POST", "/", "", "", json.dumps(document).encode()), WORLD)


def form(operation: Callable[[Inquiry, World], Answer], **fields: str) -> Answer:
    parts = "".join(
        f'--b\r\ncontent-disposition: form-data; name="{name}"; filename="{name}.x"\r\n\r\n'
        f"{text}\r\n"
        for name, text in fields.items()
    )
    kind = "multipart/form-data; boundary=b"
    return operation(Inquiry("POST", "/", "", kind, f"{parts}--b--\r\n".encode()), WORLD)


def test_a_picture_is_a_png() -> None:
    """One pixel with the right checks, coloured by the prompt."""
    found = json.loads(ask(media.images, {"prompt": "a cat", "n": 2}).body)
    assert len(found["data"]) == 2
    picture = base64.b64decode(found["data"][0]["b64_json"])
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    head = picture[8:33]
    assert zlib.crc32(head[4:21]) == int.from_bytes(head[21:], "big")
    other = json.loads(ask(media.images, {"prompt": "a dog"}).body)
    assert other["data"][0] != found["data"][0]


def test_a_picture_as_a_link() -> None:
    """The link carries the picture."""
    found = json.loads(ask(media.images, {"prompt": "x", "response_format": "url"}).body)
    assert found["data"][0]["url"].startswith("data:image/png;base64,")


def test_an_edit_takes_a_form() -> None:
    """The picture is accepted, the prompt is needed."""
    assert json.loads(form(media.image_edits, prompt="x", image="...").body)["data"]
    with pytest.raises(Refusal):
        form(media.image_edits, image="...")
    with pytest.raises(Refusal):
        ask(media.images, {"prompt": "x", "n": 11})


def test_speech_is_a_wav() -> None:
    """It can be opened, and lasts longer for a longer text."""
    answer = ask(media.speech, {"model": "sim", "input": "hello", "voice": "alloy"})
    assert answer.content_type == "audio/wav"
    with wave.open(io.BytesIO(answer.body)) as found:
        assert (found.getnframes(), found.getframerate()) == (400, 8000)


def test_a_transcription_says_what_it_got() -> None:
    """As JSON, as text, as a stream."""
    text = "You sent 5 bytes as file.x."
    assert json.loads(form(media.transcriptions, file="12345", model="m").body)["text"] == text
    plain = form(media.transcriptions, file="12345", model="m", response_format="text")
    assert plain.body == f"{text}\n".encode()
    streamed = form(media.transcriptions, file="12345", model="m", stream="true")
    assert streamed.content == len(streamed.events or ()) == 6
    assert b"transcript.text.done" in streamed.end
    with pytest.raises(Refusal):
        form(media.transcriptions, model="m")


@pytest.mark.parametrize(
    ("given", "flagged"),
    [
        ("fine", [False]),
        (["fine", "Forbidden words"], [False, True]),
        ([{"type": "text", "text": "forbidden"}, {"type": "image_url"}], [True]),
    ],
)
def test_moderations_flag_one_word(given: Any, flagged: list[bool]) -> None:
    """Each text gets a result; the parts of one text get one together."""
    found = json.loads(ask(media.moderations, {"input": given}).body)["results"]
    assert [result["flagged"] for result in found] == flagged
    assert set(found[0]["category_scores"]) == set(media.CATEGORIES)
