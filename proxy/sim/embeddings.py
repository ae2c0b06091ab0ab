"""OpenAI's embeddings: a vector of length 1 that only the same text gives again.

Source: https://platform.openai.com/docs/api-reference/embeddings (2026-11-21)
"""

from __future__ import annotations

import base64
import math
import struct
from hashlib import shake_256
from typing import Any, Literal

import msgspec

from proxy.sim.chat import FAILURE
from proxy.sim.face import Inquiry, World
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer
from proxy.sim.turn import count

DIMENSIONS = 1536
MAX_DIMENSIONS = 8192
MAX_INPUTS = 2048


class _Asked(msgspec.Struct):
    model: str
    input: str | list[str | int | list[int]]
    dimensions: int = DIMENSIONS
    encoding_format: Literal["float", "base64"] | None = None


def embeddings(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/embeddings."""
    asked = inquiry.read(_Asked)
    behaviour = world.behaviour(asked.model)
    if not 1 <= asked.dimensions <= MAX_DIMENSIONS:
        message = f"'dimensions' must be from 1 to {MAX_DIMENSIONS}."
        raise Refusal(400, message, param="dimensions")
    texts, tokens = _texts(asked.input)
    if not 1 <= len(texts) <= MAX_INPUTS:
        raise Refusal(400, f"'input' must have 1 to {MAX_INPUTS} elements.", param="input")
    made = [vector(text, asked.dimensions) for text in texts]
    body = {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _base64(each) if asked.encoding_format == "base64" else each,
            }
            for index, each in enumerate(made)
        ],
        "model": asked.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Answer(
        body=msgspec.json.encode(body),
        behaviour=behaviour,
        model=asked.model,
        prompt_tokens=tokens,
        repeatable=True,
        failure=FAILURE,
    )


def vector(text: str, dimensions: int) -> list[float]:
    """Return a vector of length 1; its numbers are those a 32-bit float holds."""
    noise = shake_256(text.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    numbers = struct.unpack(f"<{dimensions}h", noise)
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    scaled = (number / length for number in numbers)
    single = struct.pack(f"<{dimensions}f", *scaled)
    return list(struct.unpack(f"<{dimensions}f", single))


def _texts(given: str | list[Any]) -> tuple[list[str], int]:
    """Return the inputs as text, and how many tokens they are."""
    if isinstance(given, str):
        return [given], count(given)
    if given and all(isinstance(each, int) for each in given):
        return [str(given)], len(given)
    texts = [each if isinstance(each, str) else str(each) for each in given]
    tokens = [len(each) if isinstance(each, list) else count(str(each)) for each in given]
    return texts, sum(tokens)


def _base64(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
