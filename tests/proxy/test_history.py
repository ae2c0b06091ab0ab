"""The ring of the last exchanges."""

from __future__ import annotations

import gc
import weakref

from proxy.errors import UpstreamFailed
from proxy.exchange import Attempt, Exchange
from proxy.history import History
from proxy.wire import Request, Usage


def exchange(number: int = 0, body: bytes = b'{"model": "m"}') -> Exchange:
    return Exchange(
        id=f"req_{number}",
        operation="chat",
        method="POST",
        path="/v1/chat/completions",
        headers={"authorization": "Bearer secret"},
        received_at=1_700_000_000.0,
        started=0.0,
        request=Request(body),
        route="fast",
        status=200,
        finished_s=0.25,
        attempts=[Attempt("vendor", "model", "main", result="ok", status=200)],
    )


def test_only_so_many_are_kept() -> None:
    """The oldest go first, whatever their number."""
    history = History(most=3)
    for number in range(10):
        history.note(exchange(number))
    assert history.find("req_6") is None
    assert [history.find(f"req_{n}")["id"] for n in (7, 8, 9)] == ["req_7", "req_8", "req_9"]


def test_the_newest_of_an_id_is_found() -> None:
    """Clients choose their ids, and may choose one twice."""
    history = History()
    history.note(exchange())
    again = exchange()
    again.status = 503
    history.note(again)
    assert history.find("req_0")["status"] == 503


def test_neither_requests_nor_errors_are_kept_alive() -> None:
    """A ring of prompts would be memory nobody bounded, and a secret nobody meant to keep."""
    history = History()
    seen = exchange()
    try:
        raise UpstreamFailed("with all that was under way in its frames")
    except UpstreamFailed as error:
        seen.error = error
    gone = [weakref.ref(seen.error)]
    held = [id(seen.request), id(seen.headers)]
    history.note(seen)
    del seen
    gc.collect()
    assert gone[0]() is None
    kept = {id(thing) for row in history._kept for thing in row}
    assert not kept & set(held)


def test_what_happened_is_told_in_plain_words() -> None:
    """Times in milliseconds, the moment as a date, the attempts with their reasons."""
    history = History()
    seen = exchange()
    seen.attempts[0].usage = Usage(input_tokens=3, output_tokens=5)
    history.note(seen)
    told = history.find("req_0")
    assert told["received_at"] == "2023-11-14T22:13:20.000+00:00"
    assert (told["total_ms"], told["code"], told["first_token_ms"]) == (250.0, None, None)
    [attempt] = told["attempts"]
    assert (attempt["input_tokens"], attempt["output_tokens"]) == (3, 5)
    assert (attempt["reason"], attempt["result"]) == ("first", "ok")
