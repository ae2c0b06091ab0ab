"""One line an exchange."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from plugins.access_log import AccessLog
from proxy.errors import UpstreamRejected
from proxy.exchange import Attempt, ClientKey, Exchange
from proxy.sink import Sink
from proxy.wire import Request, Usage


class Caught(Sink):
    """A sink that keeps its lines."""

    def __init__(self) -> None:
        super().__init__(-1)
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    """Let the log have the level that is the configuration's default."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    yield
    structlog.reset_defaults()


def exchange(**changes: Any) -> Exchange:
    made = Exchange(
        "req-1",
        "chat",
        "POST",
        "/v1/chat/completions",
        {"authorization": "Bearer hg-secret", "x-custom": "private"},
        1_700_000_000.25,
        0.0,
        request=Request(b'{"model": "fast", "messages": ["a prompt"]}'),
        client="10.1.2.3",
        key=ClientKey("me", "ann", "red"),
        route="fast",
        provider="openai",
        model="gpt-4o-mini",
        stream=True,
        status=200,
        usage=Usage(100, 20, 30, 4),
        pre_s=0.0001,
        first_token_s=0.25,
        finished_s=1.5,
        attempts=[
            Attempt(
                "claude", "haiku", "main", "upstream_error", 500, 0.0, 0.125, failure="transient"
            ),
            Attempt("openai", "gpt-4o-mini", "0", "ok", 200, 0.002, 1.25, reason="fallback big"),
        ],
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


async def written(x: Exchange, **options: Any) -> list[dict[str, Any]]:
    sink = Caught()
    await AccessLog(sink=sink, **options).end(x)
    return [json.loads(line) for line in sink.lines]


async def test_the_line_tells_who_what_where_and_how_long() -> None:
    """Everything to explain a slow or failed request with, all times in milliseconds."""
    assert await written(exchange()) == [
        {
            "time": "2023-11-14T22:13:20.250000Z",
            "level": "info",
            "event": "exchange",
            "request_id": "req-1",
            "key": "me",
            "user": "ann",
            "team": "red",
            "client": "10.1.2.3",
            "method": "POST",
            "path": "/v1/chat/completions",
            "operation": "chat",
            "route": "fast",
            "provider": "openai",
            "model": "gpt-4o-mini",
            "stream": True,
            "status": 200,
            "outcome": "ok",
            "code": None,
            "origin": None,
            "attempts": [
                {
                    "provider": "claude",
                    "model": "haiku",
                    "credential": "main",
                    "reason": "first",
                    "result": "upstream_error",
                    "failure": "transient",
                    "status": 500,
                    "queue_ms": 0.0,
                    "upstream_ms": 125.0,
                },
                {
                    "provider": "openai",
                    "model": "gpt-4o-mini",
                    "credential": "0",
                    "reason": "fallback big",
                    "result": "ok",
                    "failure": None,
                    "status": 200,
                    "queue_ms": 2.0,
                    "upstream_ms": 1250.0,
                },
            ],
            "usage": {
                "input_tokens": 100,
                "cached_tokens": 20,
                "output_tokens": 30,
                "reasoning_tokens": 4,
                "estimated": False,
            },
            "pre_ms": 0.1,
            "first_token_ms": 250.0,
            "total_ms": 1500.0,
        }
    ]


async def test_a_failure_has_its_code_and_whose_fault_it_was() -> None:
    """The words of the error are the vendor's and may quote the prompt: they stay out."""
    error = UpstreamRejected("your prompt 'my secret plan' is bad")
    [line] = await written(exchange(outcome="error", status=400, error=error, usage=None))

    assert (line["outcome"], line["code"], line["origin"]) == (
        "error",
        "invalid_request",
        "upstream",
    )
    assert line["usage"] is None
    assert "secret plan" not in json.dumps(line)


async def test_no_prompt_and_no_secret_is_written() -> None:
    """Neither the body, nor headers, nor a query string, nor a credential."""
    [line] = await written(exchange(path="/v1beta/models?key=AIzaSecret"))

    text = json.dumps(line)
    assert line["path"] == "/v1beta/models"
    for word in ("prompt", "hg-secret", "private", "AIza", "secret"):
        assert word not in text


@pytest.mark.parametrize("text", ['a"b\\c\nd', "\x00", "\udcff", "ü"])
async def test_odd_names_stay_one_line(text: str) -> None:
    """A client cannot forge lines with what it sends."""
    sink = Caught()
    await AccessLog(sink=sink).end(exchange(model=text, path="/" + text, id=text))
    [line] = sink.lines

    assert b"\n" not in line
    assert json.loads(line)["model"] == text


async def test_a_huge_name_is_cut() -> None:
    """A client cannot fill the disk with one request."""
    huge = "x" * 1_000_000
    attempts = [Attempt("openai", huge)]
    [line] = await written(exchange(model=huge, path="/" + huge, id=huge, attempts=attempts))

    assert len(json.dumps(line)) < 5000


async def test_a_skipped_path_is_not_written() -> None:
    """Health checks need not fill the log; a query changes nothing."""
    assert await written(exchange(path="/v1/models?x=1"), skip=["/v1/models"]) == []
    assert len(await written(exchange(), skip=["/v1/models"])) == 1


async def test_the_level_is_the_operators_choice() -> None:
    """Below the level of the log nothing is written."""
    assert (await written(exchange(), level="warning"))[0]["level"] == "warning"
    assert await written(exchange(), level="debug") == []


@pytest.mark.parametrize("options", [{"level": "loud"}, {"skip": "/healthz"}])
def test_a_wrong_option_is_refused(options: dict[str, Any]) -> None:
    """With a sentence that names the option."""
    with pytest.raises((TypeError, ValueError), match=next(iter(options))):
        AccessLog(sink=Caught(), **options)
