"""Paths that look at what is stored."""

import json
from collections.abc import Callable

import pytest

from proxy.sim import storage
from proxy.sim.behaviour import Behaviour
from proxy.sim.face import Inquiry, World
from proxy.sim.files import File
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer

Operation = Callable[[Inquiry, World], Answer]


@pytest.fixture
def world() -> World:
    world = World(Behaviour(), 7)
    for id, purpose in (("f1", "batch"), ("f2", "assistants"), ("f3", "batch")):
        world.files.add(File(id, f"{id}.txt", purpose, id.encode(), 7))
    world.store({"id": "resp_1", "response": {"id": "resp_1"}, "input": [{"id": "item_1"}]})
    return world


def ask(operation: Operation, world: World, id: str = "", query: str = "") -> Answer:
    return operation(Inquiry("GET", "/", query, "", b"", {"id": id}), world)


@pytest.mark.parametrize(
    ("query", "ids", "more"),
    [
        ("", ["f3", "f2", "f1"], False),
        ("purpose=batch", ["f3", "f1"], False),
        ("limit=2", ["f3", "f2"], True),
        ("limit=2&after=f3", ["f2", "f1"], False),
        ("after=nobody", [], False),
        ("limit=x", ["f3", "f2", "f1"], False),
    ],
)
def test_files_are_listed(world: World, query: str, ids: list[str], more: bool) -> None:
    """By purpose, in pages, the newest first."""
    found = json.loads(ask(storage.files, world, query=query).body)
    assert [file["id"] for file in found["data"]] == ids
    assert found["has_more"] is more


def test_a_file_is_shown_read_and_deleted(world: World) -> None:
    """Its bytes come back as they were."""
    assert json.loads(ask(storage.file, world, "f1").body)["filename"] == "f1.txt"
    assert ask(storage.content, world, "f1").body == b"f1"
    assert json.loads(ask(storage.delete_file, world, "f1").body)["deleted"]
    with pytest.raises(Refusal):
        ask(storage.content, world, "f1")


def test_an_upload_needs_a_file_and_a_purpose(world: World) -> None:
    """The missing field is named."""
    body = b'--b\r\ncontent-disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n'
    inquiry = Inquiry("POST", "/", "", "multipart/form-data; boundary=b", body)
    with pytest.raises(Refusal) as caught:
        storage.upload(inquiry, world)
    assert caught.value.param == "purpose"


def test_a_response_is_shown_and_deleted(world: World) -> None:
    """With its input; gone is gone."""
    assert json.loads(ask(storage.response, world, "resp_1").body) == {"id": "resp_1"}
    items = json.loads(ask(storage.input_items, world, "resp_1").body)
    assert items["data"] == [{"id": "item_1"}]
    assert json.loads(ask(storage.delete_response, world, "resp_1").body)["deleted"]
    with pytest.raises(Refusal) as caught:
        ask(storage.response, world, "resp_1")
    assert caught.value.status == 404
