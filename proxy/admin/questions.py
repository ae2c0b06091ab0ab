"""What a request to the administration may say; anything else is a mistake that is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from proxy.errors import InvalidRequest

T = TypeVar("T")


class Drain(msgspec.Struct, forbid_unknown_fields=True):
    """An operator's word: whether a provider or one of its models gets no new calls."""

    deployment: str
    drained: bool = True


class Explain(msgspec.Struct, forbid_unknown_fields=True):
    """A request that is only explained.

    Attributes:
        key: the name of a client key.
        headers: as a client would send them.
    """

    model: str
    key: str = ""
    tags: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}

    def lowered(self) -> Mapping[str, str]:
        """Return the headers with names in lower case, the tags among them."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.tags:
            headers["x-headgate-tags"] = ",".join(f"{k}={v}" for k, v in self.tags.items())
        return headers


def read(body: bytes, kind: type[T]) -> T:
    """Return what a body says.

    Raises:
        InvalidRequest: it is no JSON, or not of this kind.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        _, _, path = str(error).rpartition("`$.")
        param = path.rstrip("`") if path != str(error) else None
        raise InvalidRequest(f"the body of this request: {error}", param=param) from None
