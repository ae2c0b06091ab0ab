"""Two commits against each other: A B A B on the chosen rows, as ratios with their spread.

The revision is checked out into a temporary worktree of git and run by the present interpreter
with the present packages, so that nothing differs but our own code.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import measuring
from .machine import commit
from .measuring import Effort, Result
from .process import ServerFailed
from .servers import ROOT, Bench, Factory, Server, headgate
from .table import grid, number, problems
from .workloads import Row, Workload

CHOSEN = ("chat", "stream-100", "stream-1", "latency")
"""What is compared unless somebody chooses."""

HEADS = ("work", "A", "B", "B ÷ A", "from", "to")


def compare(
    revision: str, workloads: Sequence[Workload], bench: Bench, effort: Effort, rounds: int
) -> dict[str, Any]:
    """Measures the revision (A) and the working tree (B) in turns, and prints the table.

    Raises:
        ServerFailed: the revision is unknown, or one of both does not start.
    """
    with worktree(revision, bench.folder / "worktree") as root:
        factories = {"A": headgate(root, "A"), "B": headgate(ROOT, "B")}
        commits = {"A": commit(root), "B": commit(ROOT)}
        taken = [
            {workload.name: pair for workload, pair in _round(workloads, bench, factories, effort)}
            for _ in range(rounds)
        ]
    rows = []
    for workload in workloads:
        pairs = [by_workload[workload.name] for by_workload in taken]
        for row in workload.rows:
            title = f"{row.title.removeprefix('added ')}, {row.unit}"
            rows.append({"workload": workload.name, "title": title, **_ratio(row, pairs)})
    return {"commits": commits, "rounds": taken, "rows": rows}


def render(compared: Mapping[str, Any]) -> str:
    """The table of ratios; `from` and `to` are the least and greatest of a single round."""
    commits = compared["commits"]
    lines = [
        [row["title"], *(number(row.get(key)) for key in ("a", "b", "ratio", "least", "most"))]
        for row in compared["rows"]
    ]
    notes = problems(compared["rounds"])
    return "\n".join([f"A {commits['A']}, B {commits['B']}", grid([HEADS, *lines]), *notes])


@contextlib.contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """The revision's files, in a folder of their own for as long as they are needed."""
    _git("worktree", "add", "--detach", "--quiet", str(folder), revision)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def _round(
    workloads: Sequence[Workload], bench: Bench, factories: Mapping[str, Factory], effort: Effort
) -> Iterator[tuple[Workload, dict[str, Result]]]:
    """Each workload once for A and once for B, with processes started for this round."""
    for workload in workloads:
        if workload.kind == "fresh":
            yield workload, _fresh_of_both(workload, bench, factories, effort)
    with contextlib.ExitStack() as stack:
        pair = {name: stack.enter_context(start(bench)) for name, start in factories.items()}
        for workload in workloads:
            if workload.kind == "latency":
                yield workload, measuring.latency(list(pair.values()), workload, effort)
            elif workload.kind == "cost":
                yield workload, _cost_of_both(pair, workload, effort)


def _fresh_of_both(
    workload: Workload, bench: Bench, factories: Mapping[str, Factory], effort: Effort
) -> dict[str, Result]:
    return {
        name: measuring.fresh(bench, factory, workload, effort)
        for name, factory in factories.items()
    }


def _cost_of_both(
    pair: Mapping[str, Server], workload: Workload, effort: Effort
) -> dict[str, Result]:
    return {name: measuring.cost(server, workload, effort) for name, server in pair.items()}


def _ratio(row: Row, pairs: Sequence[Mapping[str, Result]]) -> dict[str, float]:
    """Medians of both, their ratio, and the least and greatest ratio of a round."""
    metric = row.metric.removeprefix("added_")
    values = [
        (pair["A"][metric], pair["B"][metric])
        for pair in pairs
        if pair["A"].get(metric) and pair["B"].get(metric)
    ]
    if not values:
        return {}
    ratios = [b / a for a, b in values]
    a, b = (statistics.median(side) for side in zip(*values, strict=True))
    return {"a": a, "b": b, "ratio": b / a, "least": min(ratios), "most": max(ratios)}


def _git(*arguments: str) -> None:
    command = ["git", "-C", str(ROOT), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise ServerFailed(finished.stderr.strip())
