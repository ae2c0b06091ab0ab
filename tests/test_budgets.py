"""The house has budgets: what does not fit on a screen is not read."""

from __future__ import annotations

import ast
import re
from itertools import chain
from statistics import median, quantiles

from tests.source import functions, modules

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|for now|placeholder|stub)\b", re.IGNORECASE)
SILENCED = re.compile(r"#\s*noqa\b(?!:\s*[A-Z]+[0-9]+\s+\S)|#\s*type:\s*ignore\b(?!\[)")


def test_a_file_has_at_most_400_lines() -> None:
    """A file that grows further is two things."""
    sizes = {module.where: module.text.count("\n") for module in modules().values()}
    assert {where: lines for where, lines in sizes.items() if lines > 400} == {}


def test_a_function_has_at_most_40_lines() -> None:
    """A function can be read without scrolling; its docstring is not counted."""
    assert [f for f in _functions() if f.body_lines > 40] == []


def test_most_functions_are_short() -> None:
    """The limit is for exceptions: half have at most 8 lines, 19 of 20 at most 25."""
    lines = [function.body_lines for function in _functions()]
    assert median(lines) <= 8
    assert quantiles(lines, n=20)[-1] <= 25


def test_a_function_takes_at_most_5_parameters() -> None:
    """Whoever calls it can remember their order."""
    assert [f for f in _functions() if f.parameters > 5] == []


def test_nothing_is_left_for_later() -> None:
    """What is in the repository is finished; what is missing is an issue."""
    found = [
        f"{module.where}:{number} {line.strip()}"
        for module in modules().values()
        for number, line in enumerate(module.text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def test_a_silenced_check_says_why() -> None:
    """`noqa` names the rule and the reason, `type: ignore` the error."""
    found = [
        f"{module.where}:{number} {line.strip()}"
        for module in modules().values()
        for number, line in enumerate(module.text.splitlines(), 1)
        if SILENCED.search(line)
    ]
    assert found == []


def test_every_module_says_why_it_exists() -> None:
    """Its docstring is where a reader begins."""
    silent = [m.where for m in modules().values() if not ast.get_docstring(m.tree)]
    assert silent == []


def _functions() -> list:
    return list(chain.from_iterable(functions(module) for module in modules().values()))
