"""How providers are doing, over several processes."""

from __future__ import annotations

from proxy.overview import CredentialView, ModelView, Overview, ProviderView, together


def credential(**known: object) -> CredentialView:
    usual = {
        "name": "main",
        "state": "well",
        "refused_for": [],
        "rest_s": 0.0,
        "busy": 1,
        "limit": None,
        "left": 1.0,
    }
    return CredentialView(**{**usual, **known})


def model(**known: object) -> ModelView:
    usual = {
        "model": "m",
        "circuit": "closed",
        "failures": 0,
        "open_s": 0.0,
        "busy": 1,
        "first_token_s": None,
        "p95_s": None,
        "tokens_per_s": None,
        "drained": False,
    }
    return ModelView(**{**usual, **known})


def process(credentials: list[CredentialView], models: list[ModelView]) -> Overview:
    return Overview(1, [ProviderView("vendor", False, 2, 8, 1, 100, credentials, models)])


def test_calls_add_up() -> None:
    """Queues and workers are each process' own."""
    both = together([process([], []), process([], [])])
    [provider] = both.providers
    assert both.processes == 2
    assert (provider.busy, provider.workers, provider.queued) == (4, 16, 2)
    assert provider.held_bytes == 200


def test_of_a_state_the_worst_counts() -> None:
    """One process has found out; the others will."""
    one = process([credential(state="dead", refused_for=["m"], left=0.5, limit=3)], [model()])
    two = process(
        [credential(state="resting", rest_s=4.0, left=0.2, limit=5)],
        [model(circuit="open", open_s=3.0, failures=7, drained=True)],
    )
    [provider] = together([one, two]).providers
    [found] = provider.credentials
    assert (found.state, found.refused_for, found.rest_s) == ("dead", ["m"], 4.0)
    assert (found.left, found.limit, found.busy) == (0.2, 8, 2)
    [seen] = provider.models
    assert (seen.circuit, seen.open_s, seen.failures, seen.drained) == ("open", 3.0, 7, True)


def test_what_only_one_knows_is_shown() -> None:
    """Models appear where they are used, and times where they were measured."""
    one = process([], [model(first_token_s=0.4, p95_s=1.0)])
    two = process([], [model(first_token_s=0.2), model(model="other")])
    [provider] = together([one, two]).providers
    assert [m.model for m in provider.models] == ["m", "other"]
    assert (provider.models[0].first_token_s, provider.models[0].p95_s) == (0.3, 1.0)
