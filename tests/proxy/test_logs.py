"""The log's form, levels and secrets."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from proxy import logs
from proxy.sink import Sink

ROOT = Path(__file__).parents[2]

Lines = Callable[[], list[dict[str, Any]]]


class _Caught(Sink):
    """A sink that keeps its lines."""

    def __init__(self) -> None:
        super().__init__(-1)
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)


@pytest.fixture
def caught() -> Iterator[_Caught]:
    """Configure the log into a list, and put everything back afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield _Caught()
    structlog.reset_defaults()
    root.handlers[:] = before[0]
    root.setLevel(before[1])


def read(caught: _Caught) -> list[dict[str, Any]]:
    return [json.loads(line) for line in caught.lines]


def test_a_line_is_json_with_time_level_and_event(caught: _Caught) -> None:
    """One object a line, as log collectors expect."""
    logs.configure(sink=caught)
    structlog.get_logger().warning("queue is full", provider="openai", depth=3)
    [line] = read(caught)

    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "queue is full",
        "provider": "openai",
        "depth": 3,
    }


@pytest.mark.parametrize(("level", "seen"), [("debug", 3), ("info", 2), ("error", 0)])
def test_what_is_below_the_level_is_not_written(caught: _Caught, level: str, seen: int) -> None:
    """The level of the configuration decides."""
    logs.configure(level=level, sink=caught)
    log = structlog.get_logger()
    log.debug("a")
    log.info("b")
    log.warning("c")

    assert len(caught.lines) == seen


def test_the_level_can_be_changed_later(caught: _Caught) -> None:
    """Loggers that modules made at import follow the newest configuration."""
    log = structlog.get_logger()
    logs.configure(level="info", sink=caught)
    log.info("before")
    logs.configure(level="error", sink=caught)
    log.info("after")

    assert [line["event"] for line in read(caught)] == ["before"]


def test_an_exception_has_its_traceback_and_no_variables(caught: _Caught) -> None:
    """Local variables hold prompts and keys."""
    logs.configure(sink=caught)
    prompt = "a very private prompt"
    try:
        raise ValueError("sk-0123456789abcdef is wrong" if prompt else "")
    except ValueError:
        structlog.get_logger().exception("it failed")
    [line] = read(caught)

    assert line["level"] == "error"
    assert "ValueError: [redacted] is wrong" in line["exception"]
    assert prompt not in caught.lines[0].decode()


def test_libraries_log_in_the_same_form(caught: _Caught) -> None:
    """Through the standard library, from warnings on, with the logger's name."""
    logs.configure(level="debug", sink=caught)
    logging.getLogger("asyncio").warning("slow: %s, key %s", "x", "sk-0123456789abcdef")
    logging.getLogger("asyncio").info("small talk")
    [line] = read(caught)

    assert line["logger"] == "asyncio"
    assert line["level"] == "warning"
    assert line["event"] == "slow: x, key [redacted]"


SECRET = "0123456789abcdefABCDEF"


@pytest.mark.parametrize(
    "fields",
    [
        {"authorization": f"Bearer {SECRET}"},
        {"headers": {"X-Api-Key": SECRET, "host": "a"}},
        {"headers": [("x-goog-api-key", SECRET), ("host", "a")]},
        {"headers": [["Cookie", SECRET]]},
        {"api_key": SECRET},
        {"credential": SECRET},
        {"reason": f"wrong key sk-{SECRET}"},
        {"reason": f"wrong key sk-proj-{SECRET}"},
        {"reason": f"said 'bearer {SECRET}'"},
        {"reason": [f"AIza{SECRET}{SECRET}"]},
        {"reason": ValueError(f"key hg_{SECRET}")},
        {"body": f'{{"key": "sk-{SECRET}"}}'.encode()},
        {"url": f"https://user:{SECRET}@example.com/"},
        {"url": f"https://example.com/?alt=sse&key={SECRET}"},
        {"protocol": f"realtime, openai-insecure-api-key.{SECRET}"},
        {"token": f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}"},
    ],
)
def test_a_secret_never_reaches_the_log(caught: _Caught, fields: dict[str, Any]) -> None:
    """Whether its name says so or its look."""
    logs.configure(sink=caught)
    structlog.get_logger().error("something failed", **fields)
    structlog.get_logger().error(f"something failed: {fields}")

    assert SECRET not in b"".join(caught.lines).decode()
    assert len(caught.lines) == 2


def test_ordinary_words_are_left_alone(caught: _Caught) -> None:
    """A log in which half is redacted helps nobody."""
    logs.configure(sink=caught)
    fields = {
        "model": "gpt-4o-mini-2024-07-18",
        "url": "https://api.openai.com/v1/chat/completions",
        "reason": "the task-runner was asked for a key-value store",
        "request_id": "req_0123456789abcdef0123456789abcdef",
        "tokens": 12,
    }
    structlog.get_logger().info("fine", **fields)
    [line] = read(caught)

    assert {name: line[name] for name in fields} == fields


@pytest.mark.parametrize(
    "value", [float("nan"), 2**70, "\ud800", {1: 2}, {(1, 2): 3}, object(), b"\xff", {"a"}]
)
def test_anything_can_be_logged(caught: _Caught, value: object) -> None:
    """A strange value gives a strange line, never an exception."""
    logs.configure(sink=caught)
    structlog.get_logger().info("odd", value=value)

    assert read(caught)[0]["event"] == "odd"


def test_a_deep_value_is_cut(caught: _Caught) -> None:
    """What is nested too deeply to be searched is not shown."""
    logs.configure(sink=caught)
    value: object = "sk-0123456789abcdef"
    for _ in range(100):
        value = [value]
    structlog.get_logger().info("deep", value=value)

    assert b"0123456789" not in caught.lines[0]


def test_a_long_text_is_cut(caught: _Caught) -> None:
    """One error with a vendor's whole answer in it does not fill the disk."""
    logs.configure(sink=caught)
    structlog.get_logger().info("long", text="eyJ-" * 1_000_000, raw=b"x" * 1_000_000)

    assert len(caught.lines[0]) < 40_000


def test_an_unknown_level_is_refused() -> None:
    """A misspelt level is found at the start."""
    with pytest.raises(KeyError):
        logs.configure(level="loud", sink=_Caught())


def test_a_crash_does_not_swallow_the_last_lines() -> None:
    """What was logged before an exception ended the process is on standard error."""
    program = (
        "import structlog; from proxy import logs; logs.configure();"
        "structlog.get_logger().error('the last words'); raise SystemError('crash')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 1
    assert '"event":"the last words"' in ran.stderr
