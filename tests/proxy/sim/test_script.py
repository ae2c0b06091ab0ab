"""How an answer is sent, without a socket."""

import json
import random

import pytest

from proxy.sim.behaviour import FAULTS, Behaviour
from proxy.sim.script import Answer, Script, perform

EVENTS = [b'data: {"n":%d,"usage":null}\n\n' % n for n in range(6)]
END = b"data: [DONE]\n\n"
STREAM = Answer(events=EVENTS, lead=1, content=4, end=END, failure=b"data: {}\n\n")
WHOLE = Answer(body=b'{"text":"0123456789","usage":{"a":1}}', failure=b'{"error":{}}')


def script(answer: Answer, *faults: str, behaviour: Behaviour | None = None) -> Script:
    return perform(answer, behaviour or Behaviour(), faults, random.Random(0))


def body(found: Script) -> bytes:
    return b"".join(step.body for step in found.steps)


def test_a_whole_answer_says_its_length() -> None:
    """No fault: one step, the right length, the connection stays."""
    found = script(WHOLE)
    assert (body(found), found.length, found.ending) == (WHOLE.body, len(WHOLE.body), "keep")


def test_a_stream_is_chunked_and_paced() -> None:
    """The first content waits for `first`, the others for `pace`, head and tail for nothing."""
    found = script(STREAM, behaviour=Behaviour(first_s=3, pace_s=1))
    assert [step.wait_s for step in found.steps] == [0, 3, 1, 1, 1, 0, 0]
    assert found.chunked
    assert found.length is None


@pytest.mark.parametrize(
    ("distribution", "mean"),
    [("fixed", 0.2), ("uniform", 0.2), ("exponential", 0.2), ("lognormal", 0.22)],
)
def test_latency_follows_its_distribution(distribution: str, mean: float) -> None:
    """Many draws have about the mean that was asked for, none is negative."""
    behaviour = Behaviour(latency_s=0.2, jitter_s=0.1, distribution=distribution)
    dice = random.Random(1)
    drawn = [perform(WHOLE, behaviour, (), dice).latency_s for _ in range(2000)]
    assert min(drawn) >= 0
    assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.1)


def test_the_same_dice_draw_the_same_latency() -> None:
    """A seed makes a run repeatable."""
    behaviour = Behaviour(latency_s=1, distribution="exponential")
    drawn = [perform(WHOLE, behaviour, (), random.Random(4)).latency_s for _ in range(2)]
    assert drawn[0] == drawn[1] > 0
    assert script(WHOLE, behaviour=Behaviour(jitter_s=1)).latency_s >= 0
    jitter_only = Behaviour(jitter_s=1, distribution="exponential")
    assert script(WHOLE, behaviour=jitter_only).latency_s == 0


@pytest.mark.parametrize(("cut", "left"), [(-1, 18), (0, 0), (5, 5), (10**6, 36)])
def test_a_cut_leaves_so_many_bytes_and_resets(cut: int, left: int) -> None:
    """Never the whole body: even a cut behind its end loses a byte."""
    found = script(WHOLE, "cut", behaviour=Behaviour(cut=cut))
    assert (len(body(found)), found.ending) == (left, "reset")
    assert found.length == len(WHOLE.body)


def test_a_clean_cut_ends_as_if_nothing_were_missing() -> None:
    """A stream gets its last chunk, a whole answer ends with the connection."""
    found = script(STREAM, "cut-clean", behaviour=Behaviour(cut_clean=30))
    assert (body(found), found.ending, found.chunked) == (b"".join(EVENTS)[:30], "keep", True)
    found = script(WHOLE, "cut-clean")
    assert (found.length, found.ending) == (None, "close")


def test_a_stream_stalls_after_so_many_chunks() -> None:
    """`at` counts chunks of content."""
    found = script(STREAM, "hang-body", behaviour=Behaviour(at=2))
    assert (body(found), found.ending) == (b"".join(EVENTS[:3]), "hang")
    found = script(WHOLE, "hang-body")
    assert 0 < len(body(found)) < len(WHOLE.body)


def test_a_malformed_chunk_is_an_event_but_no_json() -> None:
    """Only the one event is broken; the framing around it is not."""
    found = script(STREAM, "malformed", behaviour=Behaviour(at=1)).steps
    broken = [step.body for step in found if step.body not in (*EVENTS, END)]
    assert len(broken) == 1
    assert broken[0].endswith(b"\n\n")
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken[0].removeprefix(b"data: "))


def test_an_error_inside_a_200() -> None:
    """A stream gets the error in place of the rest, without an end marker."""
    found = script(STREAM, "error-200", behaviour=Behaviour(at=0))
    assert body(found) == EVENTS[0] + STREAM.failure
    assert found.status == 200
    assert body(script(WHOLE, "error-200")) == WHOLE.failure


def test_no_end_marker() -> None:
    """Everything comes but the end marker, and the body ends cleanly."""
    found = script(STREAM, "no-done")
    assert (body(found), found.ending) == (b"".join(EVENTS), "keep")


def test_no_usage() -> None:
    """Usage is taken out of whole answers and events; an event of nothing else goes."""
    assert json.loads(body(script(WHOLE, "no-usage"))) == {"text": "0123456789"}
    only = b'data: {"choices":[],"usage":{}}\n\n'
    completed = b'event: x\ndata: {"response":{"id":1,"usage":{}}}\n\n'
    answer = Answer(events=[EVENTS[0], only, b"data: [1]\n\n"], end=completed)
    expected = b'data: {"n":0}\n\ndata: [1]\n\nevent: x\ndata: {"response":{"id":1}}\n\n'
    assert body(script(answer, "no-usage")) == expected
    assert body(script(Answer(body=b'not JSON "usage"'), "no-usage")) == b'not JSON "usage"'


def test_comments_and_line_ends() -> None:
    """Comments stand before each event; CRLF replaces every line end."""
    found = body(script(STREAM, "comments", "crlf"))
    assert found.count(b": SIM PROCESSING\r\n\r\n") == len(EVENTS)
    assert found.replace(b"\r\n", b"").find(b"\n") < 0
    assert body(script(WHOLE, "comments", "crlf")) == WHOLE.body


def test_bodies_that_are_none() -> None:
    """HTML with its status, JSON that is none, nothing at all."""
    page = script(STREAM, "html")
    assert (page.status, page.content_type, page.chunked) == (502, "text/html", False)
    with pytest.raises(json.JSONDecodeError):
        json.loads(body(script(STREAM, "bad-json")))
    assert body(script(WHOLE, "empty")) == body(script(STREAM, "empty")) == b""


def test_a_wrong_length_is_larger_than_the_body() -> None:
    """The connection ends before the promised bytes came."""
    found = script(WHOLE, "wrong-length")
    assert found.ending == "close"
    assert found.length is not None
    assert found.length > len(body(found))


@pytest.mark.parametrize(
    ("fault", "ending"), [("reset", "reset"), ("hang", "hang"), ("garbage", "close")]
)
def test_faults_before_the_head(fault: str, ending: str) -> None:
    """No HTTP is spoken."""
    found = script(WHOLE, fault)
    assert found.raw is not None
    assert found.ending == ending


def test_a_slow_head_has_a_pace() -> None:
    """Each byte of the head waits."""
    assert script(WHOLE, "slow-head", behaviour=Behaviour(slow_s=0.5)).head_pace_s == 0.5


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("answer", [WHOLE, STREAM, Answer(), Answer(events=[])])
def test_every_fault_can_happen_to_every_answer(fault: str, answer: Answer) -> None:
    """Even to an empty one, at any place; the answer itself stays as it was."""
    before = repr(answer)
    for at in (-1, 0, 99):
        perform(answer, Behaviour(at=at), (fault,), random.Random(0))
    assert repr(answer) == before
