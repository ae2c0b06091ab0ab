"""What an authorizer asks a vendor for itself, such as a short-lived token for a lasting one.

It goes the way of the provider's own requests, but takes none of its workers: the calls that
wait for the answer have theirs already. So it is small and short.
"""

from __future__ import annotations

import asyncio
from functools import partial

from proxy.adapter import Send, UpstreamRequest, UpstreamResponse
from proxy.errors import UpstreamTimeout
from proxy.upstream import Timeouts, Upstream

LIMIT_S = 15.0
"""The longest one may take, in seconds."""

MAX_BYTES = 256 * 1024
"""The largest answer."""

_TIMEOUTS = Timeouts(connect_s=5.0, idle_s=LIMIT_S)


def sender(upstream: Upstream) -> Send:
    """Return what sends them to the vendor of `upstream`, wherever they are to go."""
    return partial(_send, upstream)


async def _send(upstream: Upstream, request: UpstreamRequest) -> UpstreamResponse:
    try:
        async with asyncio.timeout(LIMIT_S):
            answer = await upstream.at(request.base_url).send(
                request, timeouts=_TIMEOUTS, first_byte_s=LIMIT_S
            )
            try:
                body = await answer.read(MAX_BYTES)
            finally:
                answer.close()
    except TimeoutError:
        raise UpstreamTimeout("total", LIMIT_S) from None
    return UpstreamResponse(answer.status, answer.headers, body)
