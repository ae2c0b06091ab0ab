"""From the model's name to the route."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.structs import Retries, Timeouts
from proxy.errors import ModelNotFound
from proxy.hooks import Chain
from proxy.routing import table
from proxy.routing.table import Route, RouteTable
from tests.fakes import deployment, route


def of(*names: str, providers: tuple[str, ...] = ("openai",)) -> RouteTable:
    """Return a table with routes of these names."""
    return RouteTable(
        {name: route(name=name) for name in names},
        {name: route(name=f"{name}/*") for name in providers},
        Chain(()),
    )


@pytest.mark.parametrize(
    ("model", "name", "upstream"),
    [
        ("fast", "fast", "fast"),
        ("gpt-4o", "gpt-4o", "gpt-4o"),
        ("gpt-4o-mini", "gpt-*", "gpt-4o-mini"),
        ("o1", "o?", "o1"),
        ("o10", "*", "o10"),
        ("x1", "x[12]", "x1"),
        ("x3", "*", "x3"),
        ("openai/gpt-4o", "openai/*", "gpt-4o"),
        ("openai/org/model", "openai/*", "org/model"),
        ("gpt-/x", "gpt-*", "gpt-/x"),
        ("other/gpt-4o", "*", "other/gpt-4o"),
        ("openai/", "*", "openai/"),
        ("/gpt-4o", "*", "/gpt-4o"),
        ("FAST", "*", "FAST"),
        ("", "*", ""),
    ],
)
def test_the_nearest_name_wins(model: str, name: str, upstream: str) -> None:
    """Exact, then patterns, then provider and model, then any."""
    found, sent = of("*", "gpt-*", "gpt-4o", "fast", "o?", "x[12]").find(model)

    assert (found.name, sent) == (name, upstream)


def test_a_configured_name_hides_a_provider() -> None:
    """The operator's word is nearer than the rule."""
    assert of("openai/gpt-4o", "*").find("openai/gpt-4o")[1] == "openai/gpt-4o"
    assert of("openai/*", "*").find("openai/x")[1] == "openai/x"


def test_the_first_pattern_that_fits_wins() -> None:
    """In the order of the configuration."""
    assert of("g*", "gpt-*").find("gpt-1")[0].name == "g*"


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("fastt", "did you mean fast?"),
        ("gpt-4o-min", "gpt-4o-mini"),
        ("zzzzzz", "GET /v1/models"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(model: str, hint: str) -> None:
    """A typing error is the usual reason."""
    with pytest.raises(ModelNotFound) as caught:
        of("fast", "gpt-4o-mini").find(model)
    assert hint in caught.value.message
    assert caught.value.param == "model"


@given(st.text(max_size=300))
def test_any_name_is_answered(model: str) -> None:
    """And what is shown of it is short and harmless."""
    message = ""
    try:
        of("fast", "gpt-*").find(model)
    except ModelNotFound as error:
        message = error.message
    assert len(message) < 2000
    assert message.isascii()
    assert message.isprintable()


def test_an_endless_name_is_not_compared_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from a client nobody has authenticated yet, and the loop serves others too."""
    compared: list[str] = []
    monkeypatch.setattr(
        table.difflib, "get_close_matches", lambda word, *_, **__: compared.append(word) or []
    )
    with pytest.raises(ModelNotFound):
        of("fast").find("f" * 1_000_000)
    assert all(len(word) <= 200 for word in compared)


def test_names_are_those_a_client_may_send() -> None:
    """Patterns are none."""
    assert of("fast", "*", "gpt-*", "o?").names() == ["fast"]


def test_a_route_is_as_patient_as_its_most_patient_deployment() -> None:
    """And makes as many attempts."""
    a = deployment("a", timeouts=Timeouts(total=5), retries=Retries(attempts=2))
    b = deployment("b", timeouts=Timeouts(total=50), retries=Retries(attempts=4))
    given: Route = route(a, b)

    assert (given.total_s, given.attempts) == (50, 4)
    assert (route().total_s, route().attempts) == (600, 1)
