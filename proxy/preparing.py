"""From a client's request to what is sent to one vendor: translated, patched, authorised.

Where both sides speak the same dialect nothing here waits. A translation may need files that
the vendor does not fetch itself, what an earlier answer told to remember, and a credential
that expires or signs.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.adapter import Headers, Operation, Target, UpstreamRequest
from proxy.deployments import Deployment
from proxy.errors import InvalidRequest
from proxy.exchange import Exchange
from proxy.headers import to_upstream
from proxy.media import Fetcher
from proxy.vault import Vault

_STRICT = "x-headgate-strict"
_LONGEST_REASON = 100


class Preparing:
    """Builds requests; shared by all configurations, since what it remembers outlives them."""

    def __init__(self, vault: Vault, fetcher: Fetcher) -> None:
        self._vault = vault
        self._fetcher = fetcher

    async def request(
        self, exchange: Exchange, deployment: Deployment, target: Target, operation: Operation
    ) -> UpstreamRequest:
        """Build what is sent for one attempt.

        Raises:
            CallerError: the request cannot be translated, or only with losses that
                `x-headgate-strict` forbids, or a file it names cannot be had.
            UpstreamAuth: no credential can be had.
        """
        client = exchange.request
        assert client is not None
        if not operation.forwards:
            urls = operation.media(client) if operation.media is not None else ()
            media = await self._fetcher.fetch(urls) if urls else target.media
            recall = self._vault.recall(exchange.key.name)
            target = target._replace(media=media, recall=recall)
        request = operation.request(client, target)
        if request.dropped:
            _report(exchange, request)
        headers = list(request.headers)
        if operation.forwards:
            taken = {name for name, _ in headers}
            theirs = to_upstream(exchange.headers, rewritten=True)
            headers += [pair for pair in theirs if pair[0] not in taken]
        body = request.body
        if deployment.patch is not None and body:
            body = deployment.patch.apply(body)
        request = UpstreamRequest(request.method, request.path, headers, body, request.safe)
        if deployment.authorizer is not None:
            return await self.authorised(deployment, request)
        return request

    async def authorised(self, deployment: Deployment, request: UpstreamRequest) -> UpstreamRequest:
        """Add what a provider's own credentials say of `request`.

        Raises:
            UpstreamAuth: no credential can be had.
        """
        if deployment.authorizer is None:
            return request
        url = f"{deployment.unit.upstream.base_url}{request.path}"
        added: Headers = await deployment.authorizer.headers(request, url)
        names = {name for name, _ in added}
        kept = [pair for pair in request.headers if pair[0] not in names]
        return request._replace(headers=[*kept, *added])

    def remember(self, exchange: Exchange, memory: Mapping[str, bytes]) -> None:
        """Keep what a vendor wants back, for this client key alone."""
        if memory:
            self._vault.keep(exchange.key.name, memory)


def _report(exchange: Exchange, request: UpstreamRequest) -> None:
    """Say what of the request the vendor does not get, or refuse it where that is not allowed.

    Raises:
        InvalidRequest: the client asked for all or nothing.
    """
    first = request.dropped[0]
    if exchange.headers.get(_STRICT, "").lower() == "true":
        message = f"{exchange.provider} cannot take `{first.name}`: {first.reason}"
        raise InvalidRequest(message, param=first.name)
    said = ", ".join(f"{d.name};reason={_token(d.reason)}" for d in request.dropped)
    exchange.response_headers = [
        pair for pair in exchange.response_headers if pair[0] != "x-headgate-dropped"
    ]
    exchange.response_headers.append(("x-headgate-dropped", said))


def _token(reason: str) -> str:
    """Return a reason as a header can hold it: quoted, ASCII, not too long."""
    plain = reason.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "/")
    return '"' + " ".join(plain.split())[:_LONGEST_REASON] + '"'
