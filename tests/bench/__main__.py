"""`python -m tests.bench`: measures, prints contract §9's table, writes `bench.json`.

Exit code 0 unless something failed to run; a limit that is missed is a fact, not a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import compare, machine, measuring, peers, process, servers, table
from .measuring import FULL, QUICK, Effort, Result
from .process import ServerFailed
from .servers import NGINX, Bench, Factory, Server
from .workloads import GROWN, TLS_ROUTE, TRANSLATED, WORKLOADS, Workload

PEERS_STREAMS = 200
"""Slow servers would need minutes to open thousands of streams."""

ROUNDS, QUICK_ROUNDS = 5, 2
"""Of a comparison."""


def main() -> int:
    options = parse()
    effort = QUICK if options.quick else FULL
    if options.secs is not None:
        effort = effort._replace(seconds=options.secs)
    if options.streams is not None:
        effort = effort._replace(streams=options.streams)
    cores = process.split_cores()
    say("not pinned: this system does not" if cores.server is None else f"pinned: {cores}")
    limit = process.raise_file_limit()
    effort = effort._replace(streams=min(effort.streams, (limit - 500) // 2))
    process.pin(cores.load)
    with (
        tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder,
        servers.vendor(Path(folder), cores) as vendor,
    ):
        report = measure(options, Bench(Path(folder), cores, vendor), effort)
    report["machine"] = machine.describe()
    report["effort"] = effort._asdict()
    report["pinned"] = cores.server is not None
    Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    say(f"written: {options.json}")
    return 1 if report["failures"] else 0


def measure(options: argparse.Namespace, bench: Bench, effort: Effort) -> dict[str, Any]:
    """Runs what was asked for and prints its table."""
    if options.compare:
        chosen = choose(options.only or compare.CHOSEN, quick=False)
        chosen = [workload for workload in chosen if workload.kind != "grown"]
        rounds = QUICK_ROUNDS if options.quick else ROUNDS
        try:
            compared = compare.compare(options.compare, chosen, bench, effort, rounds)
        except ServerFailed as error:
            say(f"cannot compare: {error}")
            return {"failures": [str(error)]}
        print(compare.render(compared))
        return {"compared": compared, "failures": table.problems(compared["rounds"])}
    chosen = choose(options.only, quick=options.quick)
    factories, absent = find_servers(with_peers=options.peers)
    results = measure_fresh(chosen, bench, factories, effort)
    results |= measure_running(chosen, bench, factories, effort)
    shown = list(peers.FACTORIES) if options.peers else []
    print(table.render(chosen, results, shown))
    for name, why in absent.items():
        print(f"{name}: skipped, {why}")
    return {
        "results": results,
        "absent": absent,
        "failures": table.problems([results], excused=peers.FACTORIES),
    }


def find_servers(with_peers: bool) -> tuple[dict[str, Factory], dict[str, str]]:
    """What can be started, in the order of measuring; and what cannot, with the reason."""
    factories: dict[str, Factory] = {"direct": servers.direct}
    absent: dict[str, str] = {}
    if NGINX:
        factories["nginx"] = servers.nginx
    else:
        absent["nginx"] = "not installed"
    factories["headgate"] = servers.headgate()
    for name, factory in peers.FACTORIES.items() if with_peers else ():
        say(f"{name}: installing")
        try:
            peers.install(name)
        except ServerFailed as error:
            absent[name] = str(error)
        else:
            factories[name] = factory
    return factories, absent


def measure_fresh(
    chosen: Sequence[Workload], bench: Bench, factories: Mapping[str, Factory], effort: Effort
) -> dict[str, dict[str, Result]]:
    """What needs processes of its own."""
    results: dict[str, dict[str, Result]] = {}
    for workload in chosen:
        if workload.kind == "grown":
            say(workload.name)
            factory = servers.headgate(name="grown", more=GROWN)
            grown = measuring.grown(bench, factory, workload, effort)
            results[workload.name] = {"headgate": grown}
        elif workload.kind == "fresh":
            results[workload.name] = fresh_of_all(workload, bench, factories, effort)
    return results


def fresh_of_all(
    workload: Workload, bench: Bench, factories: Mapping[str, Factory], effort: Effort
) -> dict[str, Result]:
    of_peers = effort._replace(streams=min(effort.streams, PEERS_STREAMS), starts=1)
    results: dict[str, Result] = {}
    for name, factory in factories.items():
        if name != "direct":
            say(f"{workload.name}: {name}")
            its = of_peers if name in peers.FACTORIES else effort
            results[name] = measuring.fresh(bench, factory, workload, its)
    return results


def measure_running(
    chosen: Sequence[Workload], bench: Bench, factories: Mapping[str, Factory], effort: Effort
) -> dict[str, dict[str, Result]]:
    """What is done side by side to servers that all stay up."""
    chosen = [workload for workload in chosen if workload.kind in ("cost", "latency")]
    results: dict[str, dict[str, Result]] = {}
    if not chosen:
        return results
    with contextlib.ExitStack() as stack:
        up: dict[str, Server] = {}
        down: dict[str, Result] = {}
        for name, factory in factories.items():
            try:
                up[name] = stack.enter_context(factory(bench))
            except (OSError, ServerFailed) as error:
                down[name] = {"failed": str(error)}
        for workload in chosen:
            say(workload.name)
            fit = {name: server for name, server in up.items() if fits(name, workload)}
            results[workload.name] = {n: r for n, r in down.items() if fits(n, workload)}
            results[workload.name] |= measure_side_by_side(fit, workload, effort)
    return results


def measure_side_by_side(
    fit: Mapping[str, Server], workload: Workload, effort: Effort
) -> dict[str, Result]:
    adapter = TRANSLATED.get(workload.route)
    if adapter is not None and not servers.has(adapter):
        return {"headgate": {"skipped": "not yet"}}
    if workload.kind == "latency":
        return measuring.latency(list(fit.values()), workload, effort)
    return {name: measuring.cost(server, workload, effort) for name, server in fit.items()}


def fits(name: str, workload: Workload) -> bool:
    """Whether a server is shown a workload."""
    if name in peers.FACTORIES:
        return workload.peers
    if workload.route in TRANSLATED:
        return name == "headgate"
    return not (name == "direct" and workload.route == TLS_ROUTE)


def choose(only: Sequence[str] | None, quick: bool) -> list[Workload]:
    if only:
        return [workload for workload in WORKLOADS if workload.name in only]
    return [workload for workload in WORKLOADS if workload.quick or not quick]


def say(word: str) -> None:
    print(word, file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measures Headgate beside nginx, the direct call and, if asked, its peers.",
        epilog="example: python -m tests.bench --quick --only chat --only latency",
    )
    parser.add_argument("--quick", action="store_true", help="a second each, 500 open streams")
    parser.add_argument(
        "--peers",
        action="store_true",
        default=os.environ.get("PEERS") == "1",
        help="LiteLLM and Portkey too, installed under .bench/ (or PEERS=1)",
    )
    parser.add_argument("--compare", metavar="REV", help="this commit against the working tree")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=[workload.name for workload in WORKLOADS],
        help="this workload alone; may be repeated: %(choices)s",
    )
    parser.add_argument("--json", default="bench.json", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--secs", type=float, metavar="N", help="seconds per measurement")
    parser.add_argument("--streams", type=int, metavar="N", help="streams open at once")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
