"""The fuzz target itself runs, and finds nothing near the known oddities."""

from __future__ import annotations

import random

from tests.fuzz.fuzz_http1 import mutated, one_input


def test_mutated_answers_are_the_same_however_they_are_cut() -> None:
    """A few hundred of what `python -m tests.fuzz.fuzz_http1` tries by the thousand."""
    chance = random.Random(1)
    for _ in range(500):
        one_input(mutated(chance))
