"""One call of a deployment: what it takes while it is under way, and what its end teaches.

    begin    a place with the deployment and a credential; perhaps the one probe of a circuit
    end      exactly once, however the call ended: all of it is given back, and the state of
             whoever is to blame changes as `proxy.remedies` says

Nothing here waits, so no cancellation can come between.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.deployments import Deployment
from proxy.errors import (
    GatewayError,
    NoDeployment,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from proxy.exchange import Attempt
from proxy.remedies import LONGEST_REST_S, REMEDIES, REST_S
from proxy.wire import Usage

_UNAUTHORIZED = 401
_DOUBLINGS = 6


class Use:
    """A call under way.

    Attributes:
        credential: the one it is made with.
    """

    __slots__ = ("_began", "_expected", "_life_probe", "_probe", "credential", "deployment")

    def __init__(
        self, deployment: Deployment, now: float, tokens: int = 0, avoid: Sequence[str] = ()
    ) -> None:
        """Begin.

        Args:
            deployment: chosen before, perhaps before a wait in its queue.
            now: monotonic time, in seconds.
            tokens: what it is expected to use.
            avoid: names of credentials that this exchange has seen fail here; they are used
                only where there is no other.

        Raises:
            NoDeployment: meanwhile the circuit has opened, or no credential is left.
            UpstreamRateLimited: meanwhile all credentials have to rest; nothing was sent.
        """
        health = deployment.health
        if health.breaker.state != "closed" and not health.breaker.allows(now):
            raise NoDeployment(f"the circuit of {deployment.name} has opened")
        credential = deployment.pick(now, tokens, avoid) or deployment.pick(now, tokens)
        if credential is None:
            raise _resting(deployment, now, tokens)
        self.deployment = deployment
        self.credential = credential
        self._began = now
        self._expected = tokens
        self._probe = health.breaker.state != "closed" and health.breaker.begin(now)
        state = health.uses.get(credential) if health.uses else None
        self._life_probe = state is not None and state.life.begin(now)
        health.busy += 1
        credential.busy += 1
        if credential.requests is not None:
            credential.requests.take(now)
        if credential.tokens is not None:
            credential.tokens.take(now, tokens)

    def answered(self, now: float) -> None:
        """Take the first content for the answer to a probe: its end may be minutes away."""
        if self._probe:
            self._probe = False
            self.deployment.health.breaker.success(now, True, self._began)
            self._tell()

    def end(
        self, now: float, attempt: Attempt, error: GatewayError | None, *, stream: bool
    ) -> None:
        """End: give back what was taken, and learn.

        Args:
            now: monotonic time, in seconds.
            attempt: what is known of the call.
            error: why it failed; None: it did not, or nobody can say.
            stream: whether the answer came in pieces.
        """
        health, credential = self.deployment.health, self.credential
        busy = credential.busy
        health.busy -= 1
        credential.busy -= 1
        circuit = health.breaker.changes
        if error is not None:
            self._failed(now, error)
        elif attempt.result == "ok":
            self._succeeded(now, attempt, busy, stream=stream)
        else:
            health.breaker.neutral(self._probe)
            if self._life_probe:
                health.use(credential).life.neutral(True)
        if credential.tokens is not None and attempt.usage is not None:
            used = attempt.usage.input_tokens + attempt.usage.output_tokens
            credential.tokens.settle(now, used - self._expected, self._began)
        if circuit != health.breaker.changes:
            self._tell()

    def _succeeded(self, now: float, attempt: Attempt, busy: int, *, stream: bool) -> None:
        health, credential = self.deployment.health, self.credential
        health.breaker.success(now, self._probe, self._began)
        if health.uses:
            self._used_well(now)
        first_s = attempt.first_token_s
        if first_s > 0:
            health.observe(now, first_s, stream=stream)
        if credential.adaptive is not None:
            credential.adaptive.success(now, first_s if stream and first_s > 0 else None, busy)
        usage = attempt.usage
        if health.learns and usage is not None and usage.output_tokens:
            health.output_tokens.observe(usage.output_tokens)
            self._pace(now, usage, first_s, stream=stream)

    def _used_well(self, now: float) -> None:
        """Forget that a use had failed, unless this call had begun before that."""
        uses, credential = self.deployment.health.uses, self.credential
        state = uses.get(credential)
        if state is None:
            return
        state.life.success(now, self._life_probe, self._began)
        if state.life.state == "closed" and state.rests_until <= now:
            del uses[credential]
            self._tell()

    def _pace(self, now: float, usage: Usage, first_s: float, *, stream: bool) -> None:
        """Learn the tokens per second: of a stream after its first, else of the whole time."""
        writing_s = now - self._began - (first_s if stream else 0.0)
        if writing_s > 0:
            self.deployment.health.speed.observe(usage.output_tokens / writing_s)

    def _failed(self, now: float, error: GatewayError) -> None:
        health, credential = self.deployment.health, self.credential
        blame = REMEDIES[error.failure].blame
        if blame == "deployment":
            health.breaker.failure(now, self._probe, self._began)
        else:
            health.breaker.neutral(self._probe)
        if error.failure == "credential":
            self._refused(now, error)
        elif self._life_probe:
            health.use(credential).life.neutral(True)
        if blame not in {"deployment", "nobody"}:
            self._rest(now, error)
        if credential.adaptive is not None:
            if isinstance(error, UpstreamRateLimited):
                credential.adaptive.rejected(now)
            elif isinstance(error, UpstreamTimeout):
                credential.adaptive.timed_out(now)

    def _refused(self, now: float, error: GatewayError) -> None:
        """A 401 kills a use at once; a 403 may mean this one request."""
        life = self.deployment.health.use(self.credential).life
        before = life.changes
        if error.upstream_status == _UNAUTHORIZED and life.state == "closed":
            life.opened(now, now + life.rules.open_s)
        else:
            life.failure(now, self._life_probe, self._began)
        if life.changes != before:
            self._tell()

    def _rest(self, now: float, error: GatewayError) -> None:
        """Leave alone what is blamed: a credential whose quota is spent, for all its models."""
        credential = self.credential
        if error.failure == "quota":
            credential.rests_until = max(credential.rests_until, now + self._rest_s(error))
            self.deployment.unit.limited = True
            self._tell()
        elif error.failure != "credential":
            state = self.deployment.health.use(credential)
            state.rests_until = max(state.rests_until, now + self._rest_s(error))

    def _tell(self) -> None:
        unit = self.deployment.unit
        unit.told(unit, self.deployment.health)

    def _rest_s(self, error: GatewayError) -> float:
        """Return how long to leave it alone, in seconds: as the vendor says, or ever longer."""
        if error.retry_after_s is not None:
            return min(error.retry_after_s, LONGEST_REST_S)
        if error.failure != "rate_limit":
            return REST_S[error.failure]
        state = self.deployment.health.use(self.credential)
        state.limited += 1
        retries = self.deployment.retries
        return min(retries.backoff_max, retries.backoff * 2.0 ** min(state.limited, _DOUBLINGS))


def _resting(deployment: Deployment, now: float, tokens: int) -> GatewayError:
    wait_s = deployment.wait_s(now, tokens)
    if wait_s == float("inf") or wait_s <= 0:
        return NoDeployment(f"no credential of {deployment.unit.name} is left to try")
    message = f"the limits of all credentials of {deployment.unit.name} are reached"
    error = UpstreamRateLimited(message, retry_after_s=wait_s)
    error.failure = "unsent"
    return error
