"""How the simulator behaves: one struct, settable by configuration and by a model's name.

A name is `<any name>[:key=value[,key=value...]]`, as in `sim:latency=200ms,fault=reset`. What
the name says wins over what the simulator was started with. A colon that no `key=` follows
belongs to the name (`llama3:8b`), but for the name `sim` itself, where it can only be a slip.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

DISTRIBUTIONS = ("fixed", "uniform", "exponential", "lognormal")
TEXTS = ("reply", "echo", "lorem")
TOOLS = ("auto", "always", "never")
FAULTS = (
    "bad-json",
    "comments",
    "context",
    "crlf",
    "cut",
    "cut-clean",
    "empty",
    "error-200",
    "filter",
    "garbage",
    "hang",
    "hang-body",
    "html",
    "malformed",
    "no-done",
    "no-usage",
    "reset",
    "reset-body",
    "slow-head",
    "slow-read",
    "wrong-length",
)
ANY = "any"
MAX_TEXT_BYTES = 64 * 1024 * 1024

_NAME = re.compile(r"(?P<name>[^:=]*):(?P<options>[a-z_]*=.*)", re.DOTALL)
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s|m)")
_STATUS = re.compile(r"status-[1-9]\d\d")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0}


class Limit(NamedTuple):
    """So many calls in a window of so many seconds."""

    calls: int
    window_s: float


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be asked of the simulator.

    Attributes:
        latency_s: seconds from the whole request to the answer's head.
        jitter_s: how far `latency_s` varies to either side.
        distribution: of the latency: `fixed`, `uniform` (latency ± jitter), `exponential`
            (latency is the mean) or `lognormal` (latency is the median, jitter its spread).
        first_s: seconds from the head to the first content.
        chunks: pieces a streamed answer comes in; 0: one a word.
        pace_s: seconds between two pieces.
        tokens: words of an answer.
        bytes: characters of a piece; 0: as the words fall.
        text: `reply` (an echo of a short last user message, then filler), `echo` (that
            message and nothing else) or `lorem` (filler only).
        seed: of everything random; the same seed gives the same answers and faults.
        tools: whether offered tools are called: `auto` (until a result is there), `always`,
            `never`.
        parallel: how many tools are called at once.
        fault: what goes wrong, of `FAULTS`, `status-NNN` or `any`; several happen together.
        rate: probability of the fault, 0 to 1.
        after: how many calls under this name go well first.
        times: how many faults there are under this name; 0: no end.
        at: chunks before a fault inside a stream; -1: half of them.
        cut: bytes of the body before the connection is reset; -1: half of them.
        cut_clean: bytes of the body before a clean but early end; -1: half of them.
        retry_after_s: the `retry-after` of 429 and 503.
        slow_s: seconds for each byte of a slow head, and for each read of a slow reader.
        limit: calls in a window, else 429; None: no limit.
        context: tokens of the longest prompt, else 400; 0: no limit.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    distribution: str = "uniform"
    first_s: float = 0.0
    chunks: int = 0
    pace_s: float = 0.0
    tokens: int = 20
    bytes: int = 0
    text: str = "reply"
    seed: int = 0
    tools: str = "auto"
    parallel: int = 1
    fault: tuple[str, ...] = ()
    rate: float = 1.0
    after: int = 0
    times: int = 0
    at: int = -1
    cut: int = -1
    cut_clean: int = -1
    retry_after_s: float = 1.0
    slow_s: float = 0.001
    limit: Limit | None = None
    context: int = 0

    @property
    def plain(self) -> bool:
        """Whether an answer may go out at once, and again from memory."""
        return not (
            self.fault or self.limit or self.latency_s or self.jitter_s or self.first_s
        ) and (not self.pace_s)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return text

    return read


def duration(text: str) -> float:
    """Read `200ms`, `1.5s`, `2m` or `0` as seconds.

    Raises:
        ValueError: it is none of these, or over an hour; the text says what is allowed.
    """
    found = _DURATION.fullmatch("0s" if text == "0" else text)
    seconds = float(found.group(1)) * _UNIT_S[found.group(2)] if found else -1.0
    if not 0 <= seconds <= 3600:
        raise ValueError("a duration up to an hour, as 200ms, 1.5s or 2m")
    return seconds


def _probability(text: str) -> float:
    if not re.fullmatch(r"\d(\.\d+)?|\.\d+", text) or float(text) > 1:
        raise ValueError("a number from 0 to 1")
    return float(text)


def _limit(text: str) -> Limit:
    calls, _, window = text.partition("/")
    try:
        limit = Limit(_whole(1, 1_000_000)(calls), duration(window))
    except ValueError:
        limit = Limit(0, 0)
    if not limit.window_s:
        raise ValueError("calls in a window, as 5/10s")
    return limit


def _fault(text: str) -> tuple[str, ...]:
    names = tuple(text.split("+"))
    if not all(name in FAULTS or name == ANY or _STATUS.fullmatch(name) for name in names):
        raise ValueError(f"status-NNN, {ANY} or, joined by +, {', '.join(FAULTS)}")
    return names


_COUNT = _whole(0, 1_000_000)

KEYS: dict[str, tuple[str, Callable[[str], object]]] = {
    "latency": ("latency_s", duration),
    "jitter": ("jitter_s", duration),
    "distribution": ("distribution", _one_of(*DISTRIBUTIONS)),
    "first": ("first_s", duration),
    "chunks": ("chunks", _whole(1, 100_000)),
    "pace": ("pace_s", duration),
    "tokens": ("tokens", _whole(0, 1_000_000)),
    "bytes": ("bytes", _whole(1, 1_000_000)),
    "text": ("text", _one_of(*TEXTS)),
    "seed": ("seed", _whole(0, 999_999_999)),
    "tools": ("tools", _one_of(*TOOLS)),
    "parallel": ("parallel", _whole(1, 64)),
    "fault": ("fault", _fault),
    "rate": ("rate", _probability),
    "after": ("after", _COUNT),
    "times": ("times", _COUNT),
    "at": ("at", _COUNT),
    "cut": ("cut", _whole(0, MAX_TEXT_BYTES)),
    "cut_clean": ("cut_clean", _whole(0, MAX_TEXT_BYTES)),
    "retry_after": ("retry_after_s", duration),
    "slow": ("slow_s", duration),
    "limit": ("limit", _limit),
    "context": ("context", _whole(1, 100_000_000)),
}
"""The keys a user writes, the attribute each sets and what reads its value."""


def from_options(options: Mapping[str, object], base: Behaviour | None = None) -> Behaviour:
    """Read options as a configuration or a model's name gives them.

    Args:
        options: of `KEYS`, values as text or as the number they are.
        base: what holds where no option says otherwise.

    Raises:
        ValueError: an unknown key or a wrong value; the message lists what is allowed.
    """
    changed: dict[str, Any] = {}
    for key, value in options.items():
        if key not in KEYS:
            raise ValueError(f"unknown key `{key}`{_nearest(key)}; known are {', '.join(KEYS)}")
        attribute, read = KEYS[key]
        try:
            changed[attribute] = read(str(value))
        except ValueError as error:
            raise ValueError(f"`{key}={value}`: must be {error}") from None
    base = base or Behaviour()
    # A place to cut at is a cut, so that `cut=100` need not be said twice.
    faults = [*changed.get("fault", base.fault)]
    faults += [
        name
        for name, key in (("cut", "cut"), ("cut-clean", "cut_clean"))
        if key in changed and name not in faults and "reset-body" not in faults
    ]
    behaviour = msgspec.structs.replace(base, **{**changed, "fault": tuple(faults)})
    if behaviour.chunks * behaviour.bytes > MAX_TEXT_BYTES:
        raise ValueError(f"`chunks` times `bytes` must be at most {MAX_TEXT_BYTES}")
    return behaviour


@lru_cache(4096)
def from_name(model: str, base: Behaviour) -> Behaviour:
    """Read what a model's name asks for, on top of `base`.

    Raises:
        ValueError: an unknown key or a wrong value; the message lists what is allowed.
    """
    found = _NAME.fullmatch(model) or re.fullmatch(r"(?P<name>sim):(?P<options>.*)", model)
    if found is None:
        return base
    options: dict[str, object] = {}
    for part in found["options"].split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"`{part}` is not key=value; keys are {', '.join(KEYS)}")
        options[key] = value
    return from_options(options, base)


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, 1)
    return f" (did you mean `{near[0]}`?)" if near else ""
