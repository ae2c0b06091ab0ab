"""What has happened so far under one model's name: whose turn it is to go wrong."""

from __future__ import annotations

import math
import random

from proxy.sim.behaviour import ANY, FAULTS, Behaviour, Limit
from proxy.sim.refusal import Refusal

STATUS = "status-"
_STATUSES = ("status-429", "status-500", "status-503", "status-529")
_TYPES = {
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", None),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("overloaded_error", None),
    529: ("overloaded_error", None),
}
_WAITING = (429, 503, 529)


class Course:
    """Counts the calls of one name and draws its lots; the same seed, the same lots."""

    def __init__(self, name: str, seed: int) -> None:
        self.dice = random.Random(f"{seed}/{name}")
        self._calls = 0
        self._faults = 0
        self._window_ends = 0.0
        self._window_calls = 0

    def draw(self, behaviour: Behaviour) -> tuple[str, ...]:
        """Count one call and return the faults it meets."""
        self._calls += 1
        if not behaviour.fault or self._calls <= behaviour.after:
            return ()
        if behaviour.times and self._faults >= behaviour.times:
            return ()
        if self.dice.random() >= behaviour.rate:
            return ()
        self._faults += 1
        if ANY not in behaviour.fault:
            return behaviour.fault
        drawn = self.dice.choice((*FAULTS, *_STATUSES))
        return (*(name for name in behaviour.fault if name != ANY), drawn)

    def admit(self, limit: Limit, now: float) -> list[tuple[str, str]]:
        """Take a place in the window and return the headers that say how many are left.

        `now` is a monotonic clock, in seconds.

        Raises:
            Refusal: 429, no place is left.
        """
        if now >= self._window_ends:
            self._window_ends, self._window_calls = now + limit.window_s, 0
        self._window_calls += 1
        wait_s = self._window_ends - now
        headers = [
            ("x-ratelimit-limit-requests", str(limit.calls)),
            ("x-ratelimit-remaining-requests", str(max(0, limit.calls - self._window_calls))),
            ("x-ratelimit-reset-requests", f"{math.ceil(wait_s * 1000)}ms"),
        ]
        if self._window_calls > limit.calls:
            refusal = Refusal(
                429,
                f"Rate limit reached: {limit.calls} requests in {limit.window_s:g}s. "
                f"Please try again in {wait_s:.3f}s.",
                type="rate_limit_error",
                code="rate_limit_exceeded",
            )
            refusal.headers = headers + retry_after(wait_s)
            raise refusal
        return headers


def refuse(faults: tuple[str, ...], behaviour: Behaviour, prompt_tokens: int) -> None:
    """Raise the error answer that was asked for, if one was.

    Raises:
        Refusal: a `status-NNN`, `filter` or `context` fault, or a prompt over the limit.
    """
    for fault in faults:
        if fault.startswith(STATUS):
            raise _status(int(fault.removeprefix(STATUS)), behaviour)
    if "context" in faults or 0 < behaviour.context < prompt_tokens:
        raise Refusal(
            400,
            f"This model's maximum context length is {behaviour.context} tokens. However, your "
            f"messages resulted in {prompt_tokens} tokens. Please reduce the length of the "
            "messages.",
            code="context_length_exceeded",
            param="messages",
        )
    if "filter" in faults:
        raise Refusal(
            400,
            "The response was filtered due to the prompt triggering the content management "
            "policy. Please modify your prompt and retry.",
            code="content_filter",
            param="prompt",
        )


def retry_after(wait_s: float) -> list[tuple[str, str]]:
    """Return both headers that say how long to wait: whole seconds and milliseconds."""
    return [
        ("retry-after", str(math.ceil(wait_s))),
        ("retry-after-ms", str(math.ceil(wait_s * 1000))),
    ]


def _status(status: int, behaviour: Behaviour) -> Refusal:
    fallback = "server_error" if status >= 500 else "invalid_request_error"
    kind, code = _TYPES.get(status, (fallback, None))
    refusal = Refusal(status, f"The simulator was told to answer {status}.", type=kind, code=code)
    if status in _WAITING:
        refusal.headers = retry_after(behaviour.retry_after_s)
    return refusal
