"""What kind of task a request is."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from proxy.kinds import task
from tests.fakes import exchange


def kind(last: str = "Hello", *, before: str = "", **members: Any) -> str:
    """Return the kind of a chat whose last message says this."""
    messages = [{"role": "system", "content": before}] if before else []
    messages.append({"role": "user", "content": last})
    body = {"model": "m", "messages": messages, **members}
    return task(exchange(json.dumps(body, ensure_ascii=False).encode()))


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("What is the capital of France?", "chat"),
        ("Tell me about the town hall's function in a city", "chat"),
        ("Write a Python function that sorts a list", "code"),
        ("Why does this fail?\n```\nfoo()\n```", "code"),
        ("def add(a, b): return a - b  # what is wrong?", "code"),
        ("I get a Traceback here, help", "code"),
        ("SELECT name FROM users is slow", "code"),
        ("Translate this to French: good morning", "translate"),
        ("Bitte übersetze das ins Englische", "translate"),
        ("Traduis ce texte en anglais", "translate"),
        ("请把这句话翻译成英文", "translate"),
        ("Summarize the following article", "summarise"),
        ("Give me a summary of the meeting", "summarise"),
        ("Fasse den Text in drei Sätzen zusammen", "summarise"),
        ("Résume cet article en deux phrases s'il te plaît : résumé", "summarise"),
        ("请总结这篇文章", "summarise"),
    ],
)
def test_the_last_message_tells_it(last: str, expected: str) -> None:
    """In several languages."""
    assert kind(last) == expected


def test_what_others_said_before_does_not_tell_it() -> None:
    """A system prompt about Python makes not every question one about code."""
    assert kind("What is the capital of France?", before="You are a Python expert") == "chat"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": []}, "chat"),
        ({"response_format": {"type": "json_object"}}, "json"),
        ({"response_format": {"type": "json_schema"}}, "json"),
        ({"response_format": {"type": "text"}}, "chat"),
    ],
)
def test_members_tell_it(members: dict[str, Any], expected: str) -> None:
    """Before any words do."""
    assert kind("Hello", **members) == expected


def test_what_is_among_the_messages_tells_it() -> None:
    """A picture, a sound, or very much text."""
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    sound = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]

    assert task(exchange(json.dumps({"model": "m", "messages": picture}).encode())) == "vision"
    assert task(exchange(json.dumps({"model": "m", "messages": sound}).encode())) == "audio"
    assert kind("x" * 200_000) == "long"


def test_the_operation_tells_it_and_a_tag_wins() -> None:
    """Who says what it is, knows best."""
    assert task(exchange(operation="embeddings")) == "embeddings"
    tagged = exchange()
    tagged.tags = {"task": "poetry"}
    assert task(tagged) == "poetry"


def test_it_is_worked_out_once() -> None:
    """However many conditions ask."""
    asked = exchange()
    assert task(asked) == "chat"
    asked.tags = {"task": "code"}
    assert task(asked) == "chat"


@pytest.mark.parametrize(
    "text", ["a" * 3_000_000, "def " * 700_000, "fasse " * 500_000, "SELECT " * 400_000]
)
def test_a_large_request_takes_no_longer_than_a_small_one(text: str) -> None:
    """Only its end is looked at: CPU time is measured, generously."""
    asked = exchange(
        json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    )
    begun = time.process_time()
    task(asked)
    assert time.process_time() - begun < 1
