"""OpenAI's pictures, sounds and moderations, as small as they can be and still be valid.

Source: https://platform.openai.com/docs/api-reference/images (2026-11-21)
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import msgspec

from proxy.sim.chat import FAILURE, digest
from proxy.sim.face import Inquiry, World
from proxy.sim.files import Part, read_form
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer
from proxy.sim.turn import count

MAX_IMAGES = 10
FLAGGED_WORD = "forbidden"
"""A text with this word is flagged by moderations, and no other."""

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_RATE_HZ = 8000


class _ImageAsked(msgspec.Struct):
    prompt: str
    model: str = "sim-image"
    n: int | None = None
    response_format: str | None = None


class _SpeechAsked(msgspec.Struct):
    model: str
    input: str


class _ModerationAsked(msgspec.Struct):
    input: str | list[str | dict[str, Any]]
    model: str = "sim-moderation"


def images(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/images/generations: one pixel, coloured by the prompt."""
    return _images(inquiry.read(_ImageAsked), world)


def image_edits(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/images/edits: the form's picture is taken, and not looked at."""
    form = read_form(inquiry.content_type, inquiry.body)
    if "prompt" not in form:
        raise Refusal(400, "'prompt' is a required property", param="prompt")
    model = form["model"].text if "model" in form else "sim-image"
    return _images(_ImageAsked(form["prompt"].text, model), world)


def speech(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/audio/speech: a WAV file whatever was asked for, 10 ms a character."""
    asked = inquiry.read(_SpeechAsked)
    answer = _answer(wav(min(len(asked.input), 1000) * _RATE_HZ // 100), asked.model, world)
    answer.content_type = "audio/wav"
    return answer


def transcriptions(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/audio/transcriptions and translations: says what it was sent."""
    form = read_form(inquiry.content_type, inquiry.body)
    for name in ("file", "model"):
        if name not in form:
            raise Refusal(400, f"'{name}' is a required property", param=name)
    file, model = form["file"], form["model"].text
    text = f"You sent {len(file.content)} bytes as {file.filename}."
    answer = _answer(b"", model, world)
    if form.get("stream", Part(b"")).text == "true":
        return _transcript_events(answer, text)
    if form.get("response_format", Part(b"")).text == "text":
        answer.body, answer.content_type = f"{text}\n".encode(), "text/plain; charset=utf-8"
    else:
        answer.body = msgspec.json.encode({"text": text, "usage": _transcript_usage(text)})
    return answer


def moderations(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/moderations: flags texts with `FLAGGED_WORD`."""
    asked = inquiry.read(_ModerationAsked)
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    if all(isinstance(each, dict) for each in given):  # the parts of one text
        given = [" ".join(str(each) for each in given)]
    body = {
        "id": "modr-" + digest(inquiry.body),
        "model": asked.model,
        "results": [_moderation(str(each)) for each in given],
    }
    return _answer(msgspec.json.encode(body), asked.model, world)


def png(red: int, green: int, blue: int) -> bytes:
    """Return a picture of one pixel.

    Source: https://www.w3.org/TR/png-3/ (2026-11-21)
    """

    def block(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(bytes((0, red, green, blue)))
    start = b"\x89PNG\r\n\x1a\n"
    return start + block(b"IHDR", head) + block(b"IDAT", pixel) + block(b"IEND", b"")


def wav(samples: int) -> bytes:
    """Return so many samples of silence, mono, 16 bit."""
    size = 2 * samples
    head = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE_HZ, 2 * _RATE_HZ, 2, 16)
    return head + form + struct.pack("<4sI", b"data", size) + bytes(size)


def _images(asked: _ImageAsked, world: World) -> Answer:
    amount = 1 if asked.n is None else asked.n
    if not 1 <= amount <= MAX_IMAGES:
        raise Refusal(400, f"Invalid 'n': must be from 1 to {MAX_IMAGES}.", param="n")
    colour = bytes.fromhex(digest(asked.prompt.encode("utf-8", "surrogatepass")))[:3]
    text = base64.b64encode(png(*colour)).decode()
    made = {"b64_json": text}
    if asked.response_format == "url":
        made = {"url": f"data:image/png;base64,{text}"}
    tokens = count(asked.prompt)
    usage = {
        "input_tokens": tokens,
        "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0},
        "output_tokens": amount,
        "total_tokens": tokens + amount,
    }
    body = {"created": world.created, "data": [made] * amount, "usage": usage}
    return _answer(msgspec.json.encode(body), asked.model, world)


def _transcript_usage(text: str) -> dict[str, object]:
    tokens = len(text.split())
    return {"type": "tokens", "input_tokens": 0, "output_tokens": tokens, "total_tokens": tokens}


def _transcript_events(answer: Answer, text: str) -> Answer:
    deltas: list[dict[str, object]] = [
        {"type": "transcript.text.delta", "delta": word + " "} for word in text.split()
    ]
    answer.events = [b"data: " + msgspec.json.encode(delta) + b"\n\n" for delta in deltas]
    answer.content = len(deltas)
    done = {"type": "transcript.text.done", "text": text, "usage": _transcript_usage(text)}
    answer.end = b"data: " + msgspec.json.encode(done) + b"\n\n"
    answer.failure = b"data: " + FAILURE + b"\n\n"
    return answer


def _moderation(text: str) -> dict[str, object]:
    flagged = FLAGGED_WORD in text.lower()
    hit = {name: flagged and name == "violence" for name in CATEGORIES}
    return {
        "flagged": flagged,
        "categories": hit,
        "category_scores": {name: 0.99 if on else 0.01 for name, on in hit.items()},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


def _answer(body: bytes, model: str, world: World) -> Answer:
    return Answer(body=body, behaviour=world.behaviour(model), model=model, failure=FAILURE)
