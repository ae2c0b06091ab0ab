"""What we read of answers in OpenAI's wire format: usage, and errors wherever they stand.

Vendors that speak it differ in both. The rules here follow from the numbers and the shapes
themselves, so they hold for any of them, and for one vendor's models at another's address.

Source: https://platform.openai.com/docs/api-reference/chat/object (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, cast

import msgspec

from proxy import failures
from proxy.adapter import UpstreamResponse
from proxy.errors import UpstreamBadResponse, UpstreamError, UpstreamFailed
from proxy.failures import VendorError
from proxy.wire import Usage

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
NULL = msgspec.Raw(b"null")  # absent; `Raw | None` would take nothing but null

_STATUS_OF_CODE = {
    "content_filter": 400,
    "content_policy_violation": 400,
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
}
_WRONG_KEY = re.compile(r"(?:incorrect|invalid) api key", re.IGNORECASE)
_LONGEST_WORDS = 500


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


_NO_DETAILS = _Details()


class ReportedUsage(msgspec.Struct):
    """`usage` of chat, completions and embeddings, and under other names of responses."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    input_token_details: _Details | None = None
    output_tokens_details: _Details | None = None
    cached_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_tokens: int | None = None

    may_omit_reasoning: ClassVar[bool] = False

    def normal(self) -> Usage:
        """Return our own form, in which cached tokens are part of the input.

        What the total holds beyond both sides was left out of one of them: audio of the
        input, or else reasoning of the output. Some count more tokens as cached than the
        prompt has: a prefix of their own, which they do not charge.
        """
        said = self.prompt_tokens_details or self.input_tokens_details
        into = said or self.input_token_details or _NO_DETAILS
        out = self.completion_tokens_details or self.output_tokens_details or _NO_DETAILS
        output = self.completion_tokens or self.output_tokens or 0
        given = self.prompt_tokens or self.input_tokens
        total = self.total_tokens or 0
        if given is None:
            given = max(0, total - output)
        reasoning = out.reasoning_tokens or self.reasoning_tokens or 0
        beyond = total - given - output
        if beyond > 0 and beyond == into.audio_tokens:
            given += beyond
        elif beyond > 0:
            reasoning, output = max(reasoning, beyond), output + beyond
        elif self.may_omit_reasoning and reasoning > output:
            output += reasoning
        cached = into.cached_tokens or self.cached_tokens or self.prompt_cache_hit_tokens or 0
        return Usage(
            input_tokens=given,
            cached_tokens=min(cached, given),
            output_tokens=output,
            reasoning_tokens=min(reasoning, output),
            cache_write_5m_tokens=into.cache_write_tokens or self.cache_creation_input_tokens or 0,
            audio_input_tokens=into.audio_tokens or 0,
            audio_output_tokens=out.audio_tokens or 0,
        )


class _Apart(ReportedUsage):
    """Usage whose output may leave reasoning out, and whose total too."""

    may_omit_reasoning = True


class _Aside(msgspec.Struct):
    usage: ReportedUsage | None = None


class Peek(msgspec.Struct):
    """All we read of an answer or a chunk.

    Attributes:
        aside: a member of the vendor's own in which usage stands, see `peeking`.
        message: what some have where the whole is an error.
    """

    usage: ReportedUsage | None = None
    error: msgspec.Raw = NULL
    message: msgspec.Raw = NULL
    aside: _Aside | None = None


class _Failure(msgspec.Struct):
    error: msgspec.Raw = NULL
    object: Any = None


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None
    status_code: int | None = None


class _Place(msgspec.Struct):
    msg: str = ""
    loc: list[str | int] = []


class _Refusal(msgspec.Struct):
    """An answer that is an error; the words stand in one of three members, or in `error`."""

    error: msgspec.Raw = NULL
    message: str | None = None
    detail: str | list[_Place] | None = None
    type: str | None = None
    code: str | int | None = None


PEEK: Callable[[bytes], Peek] = msgspec.json.Decoder(Peek).decode
_ERROR = msgspec.json.Decoder(_Error | str | None)
_FAILURE = msgspec.json.Decoder(_Failure)
_REFUSAL = msgspec.json.Decoder(_Refusal)


def peeking(member: str, *, apart: bool) -> Callable[[bytes], Peek]:
    """Return a `PEEK` for a vendor's own ways.

    Args:
        member: in which usage stands too, if not empty.
        apart: output may leave reasoning out.
    """
    usage = _Apart | None if apart else ReportedUsage | None
    aside = msgspec.defstruct("Aside", [("usage", usage, None)], bases=(_Aside,))
    kind = msgspec.defstruct(
        "Peek",
        [("usage", usage, None), ("aside", aside | None, None)],
        bases=(Peek,),
        rename={"aside": member} if member else None,
    )
    return cast(Callable[[bytes], Peek], msgspec.json.Decoder(kind).decode)


def peek_at(decode: Callable[[bytes], Peek], data: bytes) -> Peek:
    """Return what we read of `data`; what has another shape than we know stays unread.

    Raises:
        UpstreamBadResponse: it is no JSON object.
    """
    try:
        return decode(data)
    except msgspec.ValidationError:
        return Peek(error=_error_of(data))
    except UNREADABLE:
        raise UpstreamBadResponse("the provider sent something that is not JSON") from None


def _error_of(data: bytes) -> msgspec.Raw:
    try:
        return _FAILURE.decode(data).error
    except UNREADABLE:
        raise UpstreamBadResponse("the provider sent something that is not JSON") from None


def usage_of(peek: Peek) -> Usage | None:
    """Return the usage an answer reports, or None."""
    if peek.usage is not None:
        return peek.usage.normal()
    return peek.aside.usage.normal() if peek.aside and peek.aside.usage else None


def reported(peek: Peek, data: bytes) -> UpstreamError | None:
    """Return the error that an answer of status 200 or a chunk reports, or None."""
    if peek.error is not NULL and peek.error != NULL:
        return failed(peek.error)
    if peek.message is not NULL and _FAILURE.decode(data).object == "error":
        return failed(msgspec.Raw(data))
    return None


def failed(raw: msgspec.Raw) -> UpstreamError:
    """Return the error of an error object inside a 200; some put the real status into `code`."""
    said = _said(raw)
    if said.code and re.fullmatch("[45][0-9][0-9]", said.code):
        return failures.upstream_error(int(said.code), said)
    if said.code in _STATUS_OF_CODE:
        return failures.upstream_error(_STATUS_OF_CODE[said.code], said)
    if said.type == "invalid_request_error":
        return failures.upstream_error(400, said)
    return UpstreamFailed(said.message)


def refused(response: UpstreamResponse) -> UpstreamError:
    """Return the error of an answer whose status is one."""
    said = words(response)
    wrong_key = response.status == 400 and _WRONG_KEY.match(said.message)
    return failures.upstream_error(401 if wrong_key else response.status, said, response.headers)


def words(response: UpstreamResponse) -> VendorError:
    """Return what a vendor said went wrong, wherever it says it."""
    unsaid = VendorError(f"the provider answered with status {response.status}")
    try:
        found = _REFUSAL.decode(response.body)
    except UNREADABLE:
        return _plain(response.body) or unsaid
    if found.error != NULL:
        return _said(found.error)
    detail = found.detail
    if isinstance(detail, list):
        detail = detail[0].msg if detail else None
    message = found.message or detail
    code = None if found.code is None else str(found.code)
    return VendorError(message, found.type, code) if message else unsaid


def _plain(body: bytes) -> VendorError | None:
    """Return a body of a few words; a page of HTML or something binary has none to pass on."""
    text = body[:_LONGEST_WORDS].decode("utf-8", "replace").strip()
    worded = text.isprintable() and not text.startswith(("<", "{", "["))
    return VendorError(text) if text and worded else None


def _said(raw: msgspec.Raw) -> VendorError:
    try:
        error = _ERROR.decode(raw)
    except UNREADABLE:
        return VendorError(bytes(raw)[:_LONGEST_WORDS].decode("utf-8", "replace"))
    if error is None or isinstance(error, str):
        return VendorError(error or "the provider reported an error without a message")
    code = None if error.code is None else str(error.code)
    if error.status_code is not None and code not in _STATUS_OF_CODE:
        code = str(error.status_code)
    return VendorError(error.message or code or "unknown error", error.type, code, error.param)
