"""From a client's request to what is sent to one vendor: translated, patched, authorised.

Where both sides speak the same dialect nothing here waits. A translation may need files that
the vendor does not fetch itself, what an earlier answer told to remember, and a credential
that expires or signs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxy.adapter import Dropped, Headers, Operation, Target, UpstreamRequest
from proxy.deployments import Deployment
from proxy.errors import InvalidRequest
from proxy.exchange import Exchange
from proxy.headers import to_upstream
from proxy.media import Fetcher
from proxy.vault import Vault
from proxy.wire import Request

_STRICT = "x-headgate-strict"
_LONGEST_REASON = 100


class Preparing:
    """Builds requests; shared by all configurations, since what it remembers outlives them."""

    def __init__(self, vault: Vault, fetcher: Fetcher) -> None:
        self._vault = vault
        self._fetcher = fetcher

    async def request(
        self,
        exchange: Exchange,
        deployment: Deployment,
        target: Target,
        operation: Operation,
        client: Request,
    ) -> UpstreamRequest:
        """Build what is sent for one attempt.

        Args:
            exchange: whose request it is.
            deployment: where it goes.
            target: the same, as the adapter has it.
            operation: how the adapter serves it.
            client: the client's request, or a piece of it.

        Raises:
            CallerError: the request cannot be translated, or a file it names cannot be had.
            UpstreamAuth: no credential can be had.
        """
        if not operation.forwards:
            urls = operation.media(client) if operation.media is not None else ()
            media = await self._fetcher.fetch(urls) if urls else target.media
            recall = self._vault.recall(exchange.key.name)
            target = target._replace(media=media, recall=recall)
        request = operation.request(client, target)
        headers = list(request.headers)
        if operation.forwards:
            taken = {name for name, _ in headers}
            theirs = to_upstream(exchange.headers, rewritten=True)
            headers += [pair for pair in theirs if pair[0] not in taken]
        body = request.body
        if deployment.patch is not None and body:
            body = deployment.patch.apply(body)
        method, path, _, _, safe, dropped, base_url = request  # as `_replace`, at a third the price
        request = UpstreamRequest(method, path, headers, body, safe, dropped, base_url)
        return request if target.authorizer is None else await authorised(request, target)

    def remember(self, exchange: Exchange, memory: Mapping[str, bytes]) -> None:
        """Keep what a vendor wants back, for this client key alone."""
        if memory:
            self._vault.keep(exchange.key.name, memory)


async def authorised(request: UpstreamRequest, target: Target) -> UpstreamRequest:
    """Return `request` with what its credential's authorizer says, if it has one.

    Raises:
        UpstreamAuth: no credential can be had.
    """
    authorizer = target.authorizer
    if authorizer is None:
        return request
    path = request.path  # or a whole URL
    url = path if path.startswith(("http://", "https://")) else f"{target.base_url}{path}"
    added: Headers = await authorizer.headers(request, url)
    names = {name for name, _ in added}
    kept = [pair for pair in request.headers if pair[0] not in names]
    return request._replace(headers=[*kept, *added], base_url=authorizer.base_url)


def report(exchange: Exchange, provider: str, dropped: Sequence[Dropped]) -> str:
    """Say what of the request a vendor does not get, as `x-headgate-dropped` has it.

    Raises:
        InvalidRequest: the client asked for all or nothing.
    """
    first = dropped[0]
    if exchange.headers.get(_STRICT, "").lower() == "true":
        message = f"{provider} cannot take `{first.name}`: {first.reason}"
        raise InvalidRequest(message, param=first.name)
    return ", ".join(f"{d.name};reason={_token(d.reason)}" for d in dropped)


def _token(reason: str) -> str:
    """Return a reason as a header can hold it: quoted, ASCII, not too long."""
    plain = reason.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "/")
    return '"' + " ".join(plain.split())[:_LONGEST_REASON] + '"'
