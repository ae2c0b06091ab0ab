"""A vendor's words to the class of its failure, where the status alone does not say it.

What the classes lead to stands in `proxy.remedies`. The rules are read in order, and the first
whose statuses and words fit decides; the words are those of the recorded answers of the vendors
and of their documentation.

Sources: https://platform.openai.com/docs/guides/error-codes,
https://docs.claude.com/en/api/errors, https://ai.google.dev/gemini-api/docs/troubleshooting,
https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
(2026-11-26)
"""

from __future__ import annotations

import re
from typing import NamedTuple

from proxy.errors import Failure

_READ = 2000


class VendorError(NamedTuple):
    """What a vendor said: its words, and where it has them, type, code and field."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None


class Rule(NamedTuple):
    """Statuses and words, and what they mean together.

    Attributes:
        words: of the sentence. It may quote the client's own text, so what takes something
            from other clients (a rest, a quota) must not be had by a quotation.
        codes: of the error's code or type, which nobody but the vendor chooses.
    """

    statuses: frozenset[int]
    failure: Failure
    words: re.Pattern[str] | None = None
    codes: re.Pattern[str] | None = None


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


RULES: tuple[Rule, ...] = (
    Rule(
        frozenset({400, 403, 404, 422, 451}),
        "region",
        words=_any(
            r"location is not supported",
            r"not (?:available|supported|accessible|allowed) in (?:your|this|the) "
            r"(?:current )?(?:country|region|location|territory)",
        ),
        codes=_any(r"unsupported_country_region_territory"),
    ),
    Rule(
        frozenset({400, 402, 403, 429}),
        "quota",
        words=_any(
            r"^your credit balance is too low",
            r"^insufficient (?:credits|balance|funds|account balance)",
        ),
        codes=_any(
            r"insufficient_(?:quota|credits|balance|funds|user_quota)",
            r"billing_(?:hard_limit_reached|not_active)",
            r"exceeded_current_quota_error",
        ),
    ),
    Rule(frozenset({402}), "quota", words=_any("")),
    Rule(
        frozenset({404, 410}),
        "model_gone",
        words=_any(
            r"^model: ",
            r"\bmodels?\b.{0,200}\b(?:does not exist|not found|no longer available)",
            r"\bmodels?\b.{0,200}\b(?:decommissioned|deprecated|retired|end of (?:its )?life)",
            r"\bdeployment for this resource does not exist",
        ),
    ),
    Rule(
        frozenset({400, 404, 410, 422}),
        "model_gone",
        words=_any(r"^the provided model identifier is invalid"),
        codes=_any(r"^model_(?:not_found|deprecated|decommissioned)$", r"^DeploymentNotFound$"),
    ),
    Rule(
        frozenset({403}),
        "model_access",
        words=_any(
            r"(?:access|permission|entitle|allow|authoriz|subscri).{0,200}\bmodels?\b",
            r"\bmodels?\b.{0,200}(?:access|permission|entitle|allow|authoriz|subscri)",
        ),
    ),
)


def failure(status: int, said: VendorError) -> Failure | None:
    """Return what a vendor's answer of `status` says; None leaves it to the status."""
    names = f"{said.code or ''} {said.type or ''}".split() or [""]
    for rule in RULES:
        if status not in rule.statuses:
            continue
        if rule.words is not None and rule.words.search(said.message[:_READ]):
            return rule.failure
        if rule.codes is not None and any(rule.codes.search(name) for name in names):
            return rule.failure
    return None
