"""The table of contract §9, from numbers to text."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .measuring import Result
from .workloads import Row, Workload

Results = Mapping[str, Mapping[str, Result]]
"""By workload's name, then by server's."""

LEGEND = """\
µs: CPU microseconds, user + system of all the server's processes, per answer; per chunk: divided
by all events that reached the client (role, finish reason and [DONE] are events too). Its request
and connection are within it. direct: the vendor's own CPU, or its latency with nothing between.
added: quantile(through the server) less quantile(direct). ! with errors, see below."""


def render(workloads: Sequence[Workload], results: Results, peers: Sequence[str]) -> str:
    """The whole table, with a line for each failure under it."""
    heads = ["work", "headgate", "must", "aim", "verdict", "nginx", "÷ nginx", "direct", *peers]
    lines = [
        _line(row, results[workload.name], peers)
        for workload in workloads
        if workload.name in results
        for row in workload.rows
    ]
    notes = problems([results])
    return "\n".join([grid([heads, *lines]), "", LEGEND, *([""] if notes else []), *notes])


def problems(rounds: Sequence[Results], excused: Collection[str] = ()) -> list[str]:
    """One line for each thing that went wrong, with the workloads it met."""
    met: dict[tuple[str, str], list[str]] = {}
    for results in rounds:
        for workload, by_server in results.items():
            for server, result in by_server.items():
                problem = trouble(result)
                if problem and server not in excused:
                    met.setdefault((server, problem), []).append(workload)
    return [f"{server}: {what} [{', '.join(where)}]" for (server, what), where in met.items()]


def trouble(result: Result) -> str | None:
    """Why a result is missing or not to be trusted."""
    if "failed" in result:
        return f"failed: {result['failed']}"
    errors = result.get("errors")
    return f"errors: {errors}" if errors else None


def verdict(row: Row, result: Result) -> str:
    if "skipped" in result:
        return "not yet"
    value = result.get(row.metric)
    if row.must is None or row.aim is None:
        return ""
    if value is None:
        return "FAILED"
    if value <= row.aim:
        return "aim"
    return "must" if value <= row.must else "MISSED"


def _line(row: Row, by_server: Mapping[str, Result], peers: Sequence[str]) -> list[str]:
    ours, nginx = by_server.get("headgate", {}), by_server.get("nginx", {})
    return [
        f"{row.title}, {row.unit}",
        _cell(row, ours),
        number(row.must),
        number(row.aim),
        verdict(row, ours),
        _cell(row, nginx),
        _ratio(ours.get(row.metric), nginx.get(row.metric)),
        _direct(row, by_server.get("direct", {})),
        *[_cell(row, by_server.get(peer, {})) for peer in peers],
    ]


def _cell(row: Row, result: Result) -> str:
    if "skipped" in result:
        return str(result["skipped"])
    if "failed" in result:
        return "failed"
    return number(result.get(row.metric)) + ("!" if result.get("errors") else "")


def _direct(row: Row, result: Result) -> str:
    """Nothing is added to the direct way: its own latency says more."""
    metric = row.metric.removeprefix("added_")
    return number(result.get(metric)) if "failed" not in result else "failed"


def _ratio(ours: float | None, nginx: float | None) -> str:
    return f"{ours / nginx:.1f}" if ours and nginx and nginx > 0 else ""


def number(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def grid(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])
