"""`headgate deployments`: how the providers of a running gateway are doing."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import msgspec

from proxy.admin.client import Refused, ask
from proxy.cli import CommandError
from proxy.overview import CredentialView, ModelView, Overview, ProviderView


def run(arguments: Namespace) -> int:
    """Print a block a provider.

    Raises:
        CommandError: the gateway cannot be reached, or says no.
    """
    try:
        answer = ask(arguments.url, arguments.key, "deployments")
    except Refused as error:
        raise CommandError(str(error)) from None
    print("\n".join(_lines(msgspec.convert(answer, Overview))))
    return 0


def _lines(overview: Overview) -> Iterator[str]:
    for provider in overview.providers:
        yield _provider(provider)
        yield from map(_credential, provider.credentials)
        yield from map(_model, provider.models)
    count = overview.processes
    yield f"({count} processes together)" if count > 1 else "(1 process)"


def _provider(view: ProviderView) -> str:
    held = f", {view.held_bytes / 1024:.0f} KiB held" if view.held_bytes else ""
    drained = ", drained" if view.drained else ""
    calls = f"{view.busy} of {view.workers} workers busy, {view.queued} queued"
    return f"{view.provider}: {calls}{held}{drained}"


def _credential(view: CredentialView) -> str:
    facts: list[str] = [view.state]
    if view.rest_s:
        facts.append(f"rests {view.rest_s:.1f} s")
    if view.refused_for:
        facts.append(f"refused for {', '.join(view.refused_for)}")
    facts.append(f"{view.busy} busy" + (f" of {view.limit}" if view.limit is not None else ""))
    if view.left < 1:
        facts.append(f"{view.left:.0%} of its limits left")
    return f"  credential {view.name or '(none)'}: {', '.join(facts)}"


def _model(view: ModelView) -> str:
    facts = [f"circuit {view.circuit.replace('_', ' ')}"]
    if view.open_s:
        facts.append(f"for {view.open_s:.1f} s")
    facts.append(f"{view.busy} busy")
    if view.failures:
        facts.append(f"{view.failures} failures")
    if view.first_token_s is not None:
        facts.append(f"first token {view.first_token_s:.2f} s")
    if view.p95_s is not None:
        facts.append(f"p95 {view.p95_s:.2f} s")
    if view.tokens_per_s is not None:
        facts.append(f"{view.tokens_per_s:.0f} tokens/s")
    if view.drained:
        facts.append("drained")
    return f"  {view.model}: {', '.join(facts)}"
