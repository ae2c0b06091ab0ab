"""What is said, before any format."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sim.behaviour import Behaviour
from proxy.sim.turn import FILLER, Prompt, Tool, speak

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("weather", SCHEMA)
CLOCK = Tool("clock", {})


def test_a_reply_begins_with_what_was_said() -> None:
    """A marked request finds its mark in its own answer."""
    said = speak(Prompt("echo=17;"), Behaviour())
    assert said.text.startswith("You said: echo=17;")
    assert said.tokens == len(said.text.split()) == 20


def test_a_long_message_is_repeated_in_part() -> None:
    """Only short messages come back whole."""
    assert "x" * 201 not in speak(Prompt("x" * 500), Behaviour()).text


def test_echo_is_the_message_and_nothing_else() -> None:
    """`text=echo` gives back even blanks and line ends."""
    text = "  a\n\nlong   message \n"
    assert speak(Prompt(text), Behaviour(text="echo")).text == text


def test_pictures_are_counted() -> None:
    """The answer says how many pictures came."""
    assert "You sent 2 images." in speak(Prompt("look", images=2), Behaviour()).text


def test_the_seed_and_the_choice_move_the_filler() -> None:
    """The same seed says the same, another one or another choice says something else."""
    texts = [speak(Prompt(), Behaviour(seed=seed, text="lorem")).text for seed in (7, 7, 8)]
    assert texts[0] == texts[1] != texts[2]
    assert speak(Prompt(), Behaviour(), 1).text != speak(Prompt(), Behaviour(), 0).text
    assert speak(Prompt(), Behaviour(text="lorem")).text.split() == list(FILLER[:20])


@pytest.mark.parametrize(("chunks", "size"), [(1, 1), (7, 20), (2000, 3)])
def test_chunks_of_bytes_are_exact(chunks: int, size: int) -> None:
    """`chunks` and `bytes` together fix the number and the size of the pieces."""
    said = speak(Prompt("hello"), Behaviour(chunks=chunks, bytes=size))
    assert [len(piece) for piece in said.pieces] == [size] * chunks


@pytest.mark.parametrize("chunks", [1, 19, 20, 21, 500])
def test_chunks_alone_are_exact(chunks: int) -> None:
    """The answer is made long enough to come in so many pieces."""
    assert len(speak(Prompt("hi"), Behaviour(chunks=chunks)).pieces) == chunks


@given(st.text(), st.integers(0, 9), st.integers(0, 9))
def test_pieces_joined_are_the_text(text: str, chunks: int, size: int) -> None:
    """However an echo is cut, nothing is lost and no piece is empty."""
    said = speak(Prompt(text), Behaviour(text="echo", chunks=chunks, bytes=size))
    assert said.text == text
    assert all(said.pieces)


def test_the_limit_cuts_and_says_so() -> None:
    """An answer over the limit ends with `length` and has as many words."""
    said = speak(Prompt("hi", limit=5), Behaviour())
    assert (said.finish, said.tokens) == ("length", 5)
    assert speak(Prompt("hi", limit=20), Behaviour()).finish == "stop"
    assert speak(Prompt("hi", limit=0), Behaviour()).text == ""


def test_a_stop_text_ends_the_answer_before_it() -> None:
    """The earliest of several stop texts counts; an empty one does not."""
    said = speak(Prompt("hi", stop=("once", "answers", "")), Behaviour())
    assert said.text.endswith("the simulator ")
    assert said.finish == "stop"


def test_offered_tools_are_called_until_a_result_is_there() -> None:
    """With tools the first answer is a call, the one after the result is text."""
    first = speak(Prompt("Paris", tools=[WEATHER]), Behaviour())
    assert first.finish == "tools"
    assert json.loads(first.calls[0].arguments) == {"city": "Paris"}
    assert speak(Prompt("Paris", tools=[WEATHER], answered=True), Behaviour()).text


@pytest.mark.parametrize(
    ("tools", "answered", "must", "calls"),
    [
        ("auto", False, False, True),
        ("auto", True, False, False),
        ("auto", True, True, True),
        ("always", True, False, True),
        ("never", False, False, False),
        ("never", False, True, False),
    ],
)
def test_who_decides_about_calls(tools: str, answered: bool, must: bool, calls: bool) -> None:
    """The behaviour decides, the client's insistence beats only `auto`."""
    prompt = Prompt("x", tools=[WEATHER], answered=answered, must_call=must)
    assert bool(speak(prompt, Behaviour(tools=tools)).calls) is calls


def test_parallel_calls_go_round_the_tools() -> None:
    """`parallel=3` over two tools calls the first again, unless the client forbids it."""
    prompt = Prompt("x", tools=[WEATHER, CLOCK])
    names = [call.name for call in speak(prompt, Behaviour(parallel=3)).calls]
    assert names == ["weather", "clock", "weather"]
    assert len(speak(prompt._replace(parallel=False), Behaviour(parallel=3)).calls) == 1


def test_a_free_tool_takes_text() -> None:
    """A tool without a schema gets the user's words."""
    call = speak(Prompt("x", tools=[Tool("note", None)]), Behaviour()).calls[0]
    assert (call.free, call.arguments) == (True, "x")


def test_json_is_json_in_pieces() -> None:
    """A JSON answer is valid however it is cut."""
    said = speak(Prompt('say "hi"', json=True), Behaviour(chunks=5))
    assert json.loads(said.text) == {"answer": 'say "hi"'}
    said = speak(Prompt("Rome", json=True, schema=SCHEMA), Behaviour(bytes=2))
    assert json.loads(said.text) == {"city": "Rome"}
