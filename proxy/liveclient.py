"""A client of the gateway that looks closely: what `proxy.live` calls deployments with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec

_END = b"[DONE]"


class Failed(Exception):
    """Something does not work.

    Attributes:
        fault: in a word; an error's code where there is one.
        reason: at length.
    """

    def __init__(self, fault: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault
        self.reason = reason


class Client:
    """Calls one model.

    Args:
        session: carries the client key.
        url: of the gateway, with `/v1`.
        model: the name that is sent.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, model: str) -> None:
        self._session = session
        self._url = url
        self._model = model

    async def post(self, path: str, document: Mapping[str, Any], *, needs: str = "") -> Any:
        """Return the answer to one request, decoded.

        Args:
            path: behind `/v1`.
            document: without `model`.
            needs: a member that the vendor must not be kept from.

        Raises:
            Failed: it is an error, no JSON, or came without the member that was needed.
        """
        body = msgspec.json.encode({"model": self._model, **document})
        try:
            async with self._session.post(
                self._url + path, data=body, headers={"content-type": "application/json"}
            ) as answer:
                found = _decoded(await answer.read())
                _expect(answer, found)
                if needs and needs in answer.headers.get("x-headgate-dropped", ""):
                    raise Failed("dropped", f"the vendor does not take `{needs}`")
                return found
        except aiohttp.ClientError as error:
            raise Failed("broken", f"the answer broke off: {type(error).__name__}") from None

    async def chat(
        self, document: Mapping[str, Any], *, needs: str = ""
    ) -> tuple[dict[str, Any], str | None]:
        """Return the message of a chat's first choice, and why it ended; errors as `post`."""
        answer = await self.post("/chat/completions", document, needs=needs)
        choice = answer["choices"][0]
        return choice["message"], choice["finish_reason"]

    async def stream(self, document: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return the text of a streamed chat, and why it ended.

        Raises:
            Failed: it is an error, has one inside, or stopped before its end.
        """
        text: list[str] = []
        reason: str | None = None
        async for chunk in self._chunks({**document, "stream": True}):
            for choice in chunk.get("choices") or ():
                text.append((choice.get("delta") or {}).get("content") or "")
                reason = choice.get("finish_reason") or reason
        return "".join(text), reason

    async def _chunks(self, document: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        body = msgspec.json.encode({"model": self._model, **document})
        try:
            async with self._session.post(
                self._url + "/chat/completions",
                data=body,
                headers={"content-type": "application/json"},
            ) as answer:
                if answer.status != 200:
                    _expect(answer, _decoded(await answer.read()))
                async for line in answer.content:
                    if line.strip() == b"data: " + _END:
                        return
                    if line.startswith(b"data: "):
                        yield _whole(_decoded(line.removeprefix(b"data: ")))
        except aiohttp.ClientError as error:
            raise Failed("broken", f"the stream broke off: {type(error).__name__}") from None
        raise Failed("truncated", "the stream stopped before its end")


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Failed("no_json", "the answer is no JSON") from None


def _expect(answer: aiohttp.ClientResponse, found: Any) -> None:
    """Raise what an error's answer says."""
    _whole(found)
    if answer.status != 200:
        raise Failed(f"status_{answer.status}", f"answered with status {answer.status}")


def _whole(found: Any) -> dict[str, Any]:
    """Return a document that is no error."""
    if not isinstance(found, dict):
        raise Failed("malformed", "the answer is no JSON object")
    error = found.get("error")
    if isinstance(error, dict):
        raise Failed(str(error.get("code") or "error"), str(error.get("message") or "no reason"))
    return found
