"""Vectors."""

import base64
import json
import math
import struct
from typing import Any

import pytest

from proxy.sim.behaviour import Behaviour
from proxy.sim.embeddings import embeddings, vector
from proxy.sim.face import Inquiry, World
from proxy.sim.refusal import Refusal


def ask(given: Any, **fields: Any) -> Any:
    body = json.dumps({"model": "sim", "input": given, **fields}).encode()
    answer = embeddings(Inquiry("POST", "/v1/embeddings", "", "", body), World(Behaviour(), 0))
    return json.loads(answer.body)


def test_a_vector_has_length_1_and_belongs_to_its_text() -> None:
    """The same text gives the same vector, another text another one."""
    assert vector("a", 64) == vector("a", 64) != vector("b", 64)
    assert math.hypot(*vector("a", 1536)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("given", "amount", "tokens"),
    [("four", 1, 1), (["four", "eight..."], 2, 3), ([1, 2, 3], 1, 3), ([[1], [2, 3]], 2, 3)],
)
def test_every_form_of_input(given: Any, amount: int, tokens: int) -> None:
    """A text, texts, tokens, lists of tokens."""
    found = ask(given)
    assert [each["index"] for each in found["data"]] == list(range(amount))
    assert found["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert len(found["data"][0]["embedding"]) == 1536


def test_base64_is_the_same_vector() -> None:
    """Both encodings give the same 32-bit numbers."""
    plain = ask("x", dimensions=8)["data"][0]["embedding"]
    packed = base64.b64decode(
        ask("x", dimensions=8, encoding_format="base64")["data"][0]["embedding"]
    )
    assert list(struct.unpack("<8f", packed)) == plain


@pytest.mark.parametrize("fields", [{"dimensions": 0}, {"dimensions": 10**9}, {"given": []}])
def test_bounds(fields: dict[str, Any]) -> None:
    """Neither nothing nor too much."""
    with pytest.raises(Refusal):
        ask(fields.pop("given", "x"), **fields)
