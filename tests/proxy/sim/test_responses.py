"""OpenAI's Responses."""

import json
from typing import Any

import pytest

from proxy.sim.behaviour import Behaviour
from proxy.sim.face import Inquiry, World
from proxy.sim.refusal import Refusal
from proxy.sim.responses import input_tokens, responses
from proxy.sim.script import Answer

TOOL = {"type": "function", "name": "weather", "parameters": {"properties": {"city": {}}}}
FREE = {"type": "custom", "name": "note"}


@pytest.fixture
def world() -> World:
    return World(Behaviour(chunks=2), 1_750_000_000)


def ask(world: World, given: Any = "hi", **fields: Any) -> Answer:
    body = json.dumps({"model": "sim", "input": given, **fields}).encode()
    return responses(Inquiry("POST", "/v1/responses", "", "", body), world)


def events(answer: Answer) -> list[Any]:
    blocks = [*(answer.events or ()), answer.end]
    found = []
    for block in blocks:
        name, data = block.decode().removesuffix("\n\n").split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def test_a_whole_response(world: World) -> None:
    """Text, usage, and a copy that can be asked for again."""
    found = json.loads(ask(world, "hello", instructions="be brief").body)
    text = found["output"][0]["content"][0]["text"]
    assert text.startswith("You said: hello")
    assert (found["status"], found["error"], found["instructions"]) == (
        "completed",
        None,
        "be brief",
    )
    assert found["usage"]["input_tokens_details"]["cached_tokens"] == 0
    assert world.stored[found["id"]]["response"] == found


def test_the_sequence_of_events(world: World) -> None:
    """OpenAI's order, numbered without a gap; the end carries the whole response."""
    answer = ask(world, stream=True)
    found = events(answer)
    assert [event["type"] for event in found] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert found[4]["delta"] + found[5]["delta"] == found[6]["text"]
    assert found[-1]["response"]["output"][0] == found[-2]["item"]
    assert (answer.lead, answer.content) == (4, 2)


def test_calls(world: World) -> None:
    """A function gets JSON, a custom tool text; both are streamed."""
    found = json.loads(ask(world, "Rome", tools=[TOOL]).body)["output"][0]
    assert (found["type"], json.loads(found["arguments"])) == ("function_call", {"city": "Rome"})
    streamed = events(ask(world, "Rome", tools=[TOOL], stream=True))
    done = [e for e in streamed if e["type"] == "response.function_call_arguments.done"]
    assert json.loads(done[0]["arguments"]) == {"city": "Rome"}
    streamed = events(ask(world, "Rome", tools=[FREE], stream=True))
    done = [e for e in streamed if e["type"] == "response.custom_tool_call_input.done"]
    assert done[0]["input"] == "Rome"


def test_after_a_result_there_is_text(world: World) -> None:
    """The loop of an agent ends."""
    given = [
        {"role": "user", "content": [{"type": "input_text", "text": "Rome"}]},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ]
    found = json.loads(ask(world, given, tools=[TOOL]).body)["output"][0]
    assert found["content"][0]["text"].startswith("You said: Rome")


def test_a_cut_answer_is_incomplete(world: World) -> None:
    """The limit is told in the status, and in the last event."""
    found = json.loads(ask(world, max_output_tokens=2).body)
    assert (found["status"], found["incomplete_details"]["reason"]) == (
        "incomplete",
        "max_output_tokens",
    )
    assert events(ask(world, max_output_tokens=2, stream=True))[-1]["type"] == "response.incomplete"


def test_structured_answers(world: World) -> None:
    """A schema is satisfied, JSON mode is JSON."""
    form = {"type": "json_schema", "name": "x", "schema": {"properties": {"a": {"const": 1}}}}
    found = json.loads(ask(world, text={"format": form}).body)
    assert json.loads(found["output"][0]["content"][0]["text"]) == {"a": 1}
    found = json.loads(ask(world, text={"format": {"type": "json_object"}}).body)
    assert json.loads(found["output"][0]["content"][0]["text"]) == {"answer": "hi"}


def test_what_is_stored_can_be_referred_to(world: World) -> None:
    """A previous response must exist; `store: false` leaves none."""
    first = json.loads(ask(world).body)["id"]
    ask(world, previous_response_id=first)
    kept = len(world.stored)
    unkept = json.loads(ask(world, store=False).body)["id"]
    assert len(world.stored) == kept
    with pytest.raises(Refusal) as caught:
        ask(world, previous_response_id=unkept)
    assert caught.value.code == "previous_response_not_found"


def test_a_count_is_what_the_response_reports(world: World) -> None:
    """Of the whole input, and the same each time."""
    asked = {"model": "sim", "input": [{"role": "user", "content": "hello"}], "instructions": "x"}
    inquiry = Inquiry("POST", "/v1/responses/input_tokens", "", "", json.dumps(asked).encode())
    found = json.loads(input_tokens(inquiry, world).body)
    usage = json.loads(ask(world, asked["input"], instructions="x").body)["usage"]
    assert found == {"object": "response.input_tokens", "input_tokens": usage["input_tokens"]}
    assert input_tokens(inquiry, world).repeatable
