"""OpenAI's paths and errors."""

import json

from proxy.sim import openai
from proxy.sim.behaviour import Behaviour
from proxy.sim.face import Inquiry, World
from proxy.sim.refusal import Refusal

WORLD = World(Behaviour(), 7)


def test_an_error_has_four_fields() -> None:
    """Absent ones are null, as OpenAI's are."""
    found = json.loads(openai.error(Refusal(404, "no", code="x")))
    assert found == {
        "error": {"message": "no", "type": "invalid_request_error", "param": None, "code": "x"}
    }


def test_models_are_listed_and_every_name_is_one() -> None:
    """A list for pickers; whatever name a test makes up is there too."""
    inquiry = Inquiry("GET", "/v1/models", "", "", b"")
    assert "sim" in [
        model["id"] for model in json.loads(openai.models(inquiry, WORLD).body)["data"]
    ]
    inquiry = inquiry._replace(arguments={"id": "made-up:tokens=3"})
    found = json.loads(openai.model(inquiry, WORLD).body)
    assert (found["id"], found["object"], found["created"]) == ("made-up:tokens=3", "model", 7)


def test_no_two_routes_are_the_same() -> None:
    """Each method and path has one operation."""
    pairs = [(route.method, route.path) for route in openai.face.routes]
    assert len(pairs) == len(set(pairs))
