"""Which requests are one conversation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import ClientKey, Exchange
from proxy.routing._conversation import of_client, of_prefix, of_session
from tests.fakes import exchange

HEADER = "x-session-id"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def said(messages: Iterable[dict[str, Any]], compact: bool = True, **more: Any) -> Exchange:
    """Return a chat with these messages, as an SDK writes it down."""
    document = {"model": "m", "messages": list(messages), **more}
    separators = (",", ":") if compact else (", ", ": ")
    return exchange(json.dumps(document, separators=separators).encode())


def turn(role: str, content: object) -> dict[str, object]:
    """Return a message, its role first."""
    return {"role": role, "content": content}


def reversed_turn(role: str, content: object) -> dict[str, object]:
    """Return a message, its role last."""
    return {"content": content, "role": role}


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("message", [turn, reversed_turn])
@given(said_=st.tuples(TEXT, TEXT.filter(bool), TEXT, TEXT))
def test_the_turns_of_a_conversation_are_one(
    message: Any, compact: bool, said_: tuple[str, str, str, str]
) -> None:
    """Whatever is said after the first message of the user."""
    system, first, answer, second = said_
    turns = [message("system", system)] if system else []
    turns += [message("user", first), message("assistant", answer), message("user", second)]
    opening = len(turns) - 2
    begun = of_prefix(said(turns[:opening], compact), HEADER)

    assert of_prefix(said(turns[: opening + 1], compact), HEADER) == begun
    assert of_prefix(said(turns, compact), HEADER) == begun


@pytest.mark.parametrize("length", [10, 1_000, 3_000, 20_000, 40_000])
@pytest.mark.parametrize("filling", ["plain words ", 'say {"a": [1, {"b": 2}]}, "quoted" '])
def test_a_long_system_prompt_does_not_hide_who_asks_what(length: int, filling: str) -> None:
    """Two conversations of one application are two."""
    system = turn("system", (filling * length)[:length])
    one, other = turn("user", "one question"), turn("user", "another question")
    answer = turn("assistant", [{"type": "text", "text": "well"}])

    assert of_prefix(said([system, one]), HEADER) == of_prefix(said([system, one, answer]), HEADER)
    assert of_prefix(said([system, one]), HEADER) != of_prefix(said([system, other]), HEADER)


def test_parts_of_a_message_are_looked_into() -> None:
    """Text, and what of a picture stands at its beginning."""
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {}}]
    other = [{"type": "text", "text": "what is that?"}, {"type": "image_url", "image_url": {}}]
    answer = turn("assistant", "a cat")
    begun = of_prefix(said([turn("user", parts)]), HEADER)

    assert of_prefix(said([turn("user", parts), answer]), HEADER) == begun
    assert of_prefix(said([turn("user", other)]), HEADER) != begun


def test_other_tools_or_instructions_are_another_conversation() -> None:
    """They come before the messages in every vendor's cache."""
    question = [turn("user", "hello")]
    keys = {
        of_prefix(said(question), HEADER),
        of_prefix(said(question, tools=[{"type": "function", "name": "a"}]), HEADER),
        of_prefix(said(question, tools=[{"type": "function", "name": "b"}]), HEADER),
        of_prefix(said(question, instructions="be brief"), HEADER),
    }
    assert len(keys) == 4


def test_what_else_a_request_says_makes_no_difference() -> None:
    """The temperature is no part of a prompt."""
    question = [turn("user", "hello")]

    assert of_prefix(said(question, temperature=1), HEADER) == of_prefix(said(question), HEADER)


def test_a_client_may_say_itself_what_belongs_together() -> None:
    """By the parameter that OpenAI has for it."""
    one = said([turn("user", "one")], prompt_cache_key="k")
    other = said([turn("user", "other")], prompt_cache_key="k")
    unsaid = said([turn("user", "one")], prompt_cache_key=None)

    assert of_prefix(one, HEADER) == of_prefix(other, HEADER)
    assert of_prefix(unsaid, HEADER) == of_prefix(said([turn("user", "one")]), HEADER)
    assert of_prefix(unsaid, HEADER) != of_prefix(one, HEADER)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","input":"text to embed"}',
        b'{"model":"m","prompt":"once upon a time"}',
        b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"t"}]}]}',
    ],
)
def test_prompts_of_other_operations_count_too(body: bytes) -> None:
    """Completions, embeddings, responses."""
    assert of_prefix(exchange(body), HEADER) != of_prefix(exchange(), HEADER)


def test_without_a_prompt_it_is_who_asks() -> None:
    """Uploads, for example."""
    unread = exchange()
    unread.request = None
    unread.client = "10.0.0.7"

    assert of_prefix(unread, HEADER) == of_client(unread, HEADER)


def test_who_asks_is_the_key_or_else_the_address() -> None:
    """Two clients behind one key are one; two without keys are not."""
    one, other = exchange(), exchange()
    one.client, other.client = "10.0.0.7", "10.0.0.8"
    assert of_client(one, HEADER) != of_client(other, HEADER)

    one.key = other.key = ClientKey("alice")
    assert of_client(one, HEADER) == of_client(other, HEADER)


def test_a_session_is_what_the_header_says() -> None:
    """Whoever asks; without the header it is who asks."""
    one, other = exchange(), exchange()
    one.key, other.key = ClientKey("alice"), ClientKey("bob")
    assert of_session(one, HEADER) == of_client(one, HEADER)

    one.headers[HEADER] = other.headers[HEADER] = "s1"
    assert of_session(one, HEADER) == of_session(other, HEADER)


def test_all_processes_count_alike() -> None:
    """Else each worker would send the same conversation elsewhere."""
    assert of_prefix(said([turn("user", "hello")]), HEADER) == 3_943_781_170
