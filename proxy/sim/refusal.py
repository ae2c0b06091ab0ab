"""Why the simulator does not answer, before any vendor's format words it."""

from __future__ import annotations


class Refusal(Exception):
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        message: for people.
        type: OpenAI's `error.type`; other formats map it to theirs.
        code: OpenAI's `error.code`, or None.
        param: the request's field at fault, or None.
        headers: further headers, names in lower case.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.headers: list[tuple[str, str]] = []
