"""The nearer setting wins."""

from __future__ import annotations

from proxy.config.resilience import Adaptive, Breaker, Probe
from proxy.config.resolve import deployment_retries, deployment_timeouts, provider_limits
from proxy.config.structs import Config, Retries, Timeouts
from tests.proxy.config.conftest import Load

LEVELS = """\
defaults:
  workers: 1
  queue: 2
  queue_timeout: 3
  timeouts: {connect: 4, first_token: 4}
  retries: {attempts: 4, backoff: 4}
providers:
  sim: {queue: 0, timeouts: {first_token: 5, idle: 5}, retries: {attempts: 5}}
  plain: {adapter: sim}
routes:
  a:
    timeouts: {idle: 6, total: 6}
    retries: {backoff: 6}
    deployments:
      - {provider: sim, timeouts: {total: 7}, retries: {backoff_max: 7}}
      - {provider: plain}
"""


def test_a_provider_has_its_own_limits_or_the_common_ones(load_text: Load) -> None:
    """Nought is a limit of its own."""
    config = load_text(LEVELS)
    near = provider_limits(config, config.providers["sim"])
    assert (near.workers, near.queue, near.queue_timeout) == (1, 0, 3)
    assert near.timeouts == Timeouts(connect=4, first_token=5, idle=5, total=600)
    assert near.retries == Retries(attempts=5, backoff=4, backoff_max=8)
    far = provider_limits(config, config.providers["plain"])
    assert (far.workers, far.queue, far.queue_timeout) == (1, 2, 3)
    assert far.timeouts == config.defaults.timeouts


def test_each_level_wins_over_those_before_it(load_text: Load) -> None:
    """Defaults, provider, route, deployment."""
    config = load_text(LEVELS)
    route = config.routes["a"]
    found = [
        (
            deployment_timeouts(config, config.providers[d.provider], route, d),
            deployment_retries(config, config.providers[d.provider], route, d),
        )
        for d in route.deployments
    ]
    assert found == [
        (
            Timeouts(connect=4, first_token=5, idle=6, total=7),
            Retries(attempts=5, backoff=6, backoff_max=7),
        ),
        (
            Timeouts(connect=4, first_token=4, idle=6, total=6),
            Retries(attempts=4, backoff=6, backoff_max=8),
        ),
    ]


def test_without_any_setting_the_documented_defaults_hold(load_text: Load) -> None:
    """A quarter of a thousand may wait for one of 64 workers."""
    config = load_text("providers: {sim: }")
    limits = provider_limits(config, config.providers["sim"])
    assert limits[:3] == (64, 256, 10)
    assert limits[3:] == (2**28, Timeouts(), Retries(), Breaker(), Adaptive(), Probe())
    assert Config().defaults.timeouts == Timeouts(connect=5, first_token=60, idle=60, total=600)
    assert Retries() == Retries(attempts=3, backoff=0.5, backoff_max=8)
