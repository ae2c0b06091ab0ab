"""Whose turn it is to go wrong."""

import pytest

from proxy.sim.behaviour import FAULTS, Behaviour, Limit
from proxy.sim.course import Course, refuse
from proxy.sim.refusal import Refusal


def test_the_first_calls_go_well_and_then_so_many_fail() -> None:
    """`after` and `times` together are a window of failures."""
    course, behaviour = Course("m", 0), Behaviour(fault=("reset",), after=2, times=1)
    assert [course.draw(behaviour) for _ in range(5)] == [(), (), ("reset",), (), ()]


def test_the_rate_is_drawn_from_the_seed() -> None:
    """About a third fails, and with the same seed and name the same third."""
    behaviour = Behaviour(fault=("reset",), rate=0.3)
    runs = []
    for seed in (1, 1, 2):
        course = Course("m", seed)
        runs.append([bool(course.draw(behaviour)) for _ in range(1000)])
    assert runs[0] == runs[1] != runs[2]
    assert 250 < sum(runs[0]) < 350
    assert Course("m", 0).draw(Behaviour(fault=("reset",), rate=0.0)) == ()


def test_any_fault_is_one_of_all() -> None:
    """`any` draws; what stands beside it stays."""
    course, behaviour = Course("m", 0), Behaviour(fault=("crlf", "any"))
    drawn = {course.draw(behaviour)[1] for _ in range(2000)}
    assert set(FAULTS) < drawn
    assert course.draw(behaviour)[0] == "crlf"


def test_a_window_admits_so_many_calls() -> None:
    """One more is a 429 that says truly how long the window lasts; then a new one begins."""
    course, limit = Course("m", 0), Limit(2, 10.0)
    first = dict(course.admit(limit, 100.0))
    assert first["x-ratelimit-limit-requests"] == "2"
    assert first["x-ratelimit-remaining-requests"] == "1"
    assert dict(course.admit(limit, 101.0))["x-ratelimit-reset-requests"] == "9000ms"
    with pytest.raises(Refusal) as caught:
        course.admit(limit, 107.5)
    refusal = caught.value
    assert (refusal.status, refusal.code) == (429, "rate_limit_exceeded")
    assert dict(refusal.headers)["retry-after"] == "3"
    assert dict(refusal.headers)["retry-after-ms"] == "2500"
    assert dict(course.admit(limit, 110.0))["x-ratelimit-remaining-requests"] == "1"


@pytest.mark.parametrize(
    ("status", "kind", "waits"),
    [
        (400, "invalid_request_error", False),
        (401, "authentication_error", False),
        (429, "rate_limit_error", True),
        (500, "server_error", False),
        (503, "overloaded_error", True),
        (529, "overloaded_error", True),
        (418, "invalid_request_error", False),
    ],
)
def test_a_status_is_worded_as_the_vendor_would(status: int, kind: str, waits: bool) -> None:
    """The type fits the status; those that pass say when."""
    with pytest.raises(Refusal) as caught:
        refuse((f"status-{status}",), Behaviour(retry_after_s=2), 1)
    assert (caught.value.status, caught.value.type) == (status, kind)
    assert dict(caught.value.headers).get("retry-after") == ("2" if waits else None)


def test_a_prompt_over_the_limit_is_refused() -> None:
    """The limit counts the prompt's tokens; without one nothing is refused."""
    refuse((), Behaviour(context=10), 10)
    refuse((), Behaviour(), 10**9)
    with pytest.raises(Refusal, match="maximum context length is 10 tokens") as caught:
        refuse((), Behaviour(context=10), 11)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize(
    ("fault", "code"), [("context", "context_length_exceeded"), ("filter", "content_filter")]
)
def test_refusals_on_demand(fault: str, code: str) -> None:
    """Both kinds of 400 can be had for any prompt."""
    with pytest.raises(Refusal) as caught:
        refuse((fault,), Behaviour(), 1)
    assert (caught.value.status, caught.value.code) == (400, code)
