"""Operators' words, and their order."""

from __future__ import annotations

from itertools import permutations
from typing import cast

from proxy.drains import Drain, Drains
from proxy.queues import Bounds, ProviderUnit
from proxy.upstream import Upstream


def unit() -> ProviderUnit:
    return ProviderUnit("vendor", cast(Upstream, None), Bounds(1, 1, 1.0))


def test_all_agree_whatever_the_order() -> None:
    """Of two words with the same number the one that drains counts: it does less harm."""
    words = [Drain("v", True, 1), Drain("v", False, 2), Drain("v", True, 2), Drain("v", False, 1)]
    for order in permutations(words):
        drains = Drains()
        for word in order:
            drains.hear(word)
        assert drains.all() == [Drain("v", True, 2)]


def test_an_own_word_is_newer_than_all_that_was_heard() -> None:
    """Whoever speaks has heard the others."""
    drains = Drains()
    drains.hear(Drain("v", True, 7))
    assert drains.say("v", drained=False) == Drain("v", False, 8)
    assert not drains.hear(Drain("v", True, 7))


def test_a_rank_is_a_word() -> None:
    """It is the form in which a server compares them."""
    for word in (Drain("v", True, 3), Drain("v", False, 4)):
        assert Drain.ranked("v", word.rank) == word


def test_words_reach_providers_and_models_that_come_later() -> None:
    """A provider made anew, or a model nobody asked for yet, is drained as well."""
    drains = Drains()
    drains.say("vendor/model", drained=True)
    drains.say("elsewhere", drained=True)
    new = unit()
    drains.apply({"vendor": new})
    assert new.health("model").drained
    assert not new.drained
    drains.say("vendor", drained=True)
    drains.say("vendor/model", drained=False)
    drains.apply({"vendor": new})
    assert new.drained
    assert not new.health("model").drained
