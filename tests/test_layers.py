"""The house has one staircase: imports go down, never up and never across."""

from __future__ import annotations

import ast
import re

import pytest

from tests.source import Module, modules

CONTRACTS: dict[str, set[str]] = {
    "proxy.errors": set(),
    "proxy.wire": {"proxy.errors"},
    "proxy.framing": {"proxy.errors"},
    "proxy.adapter": {"proxy.errors", "proxy.framing", "proxy.wire"},
    "proxy.exchange": {"proxy.errors", "proxy.wire"},
    "proxy.hooks": {"proxy.errors", "proxy.exchange", "proxy.wire"},
}
"""What everything stands on, and what each of them may itself stand on."""

SHARED: dict[str, set[str]] = {
    "proxy.headers": {"proxy.adapter"},
    "proxy.failures": {"proxy.adapter", "proxy.errors", "proxy.faults", "proxy.resets"},
    "proxy.faults": {"proxy.errors"},
    "proxy.forms": {"proxy.errors", "proxy.wire"},
    "proxy.resets": {"proxy.adapter"},
    "proxy.chat": {"proxy.adapter", "proxy.wire"},
    "proxy.completions": {"proxy.adapter", "proxy.chat", "proxy.errors", "proxy.wire"},
    "proxy.counting": {"proxy.adapter", "proxy.errors", "proxy.framing", "proxy.wire"},
    "proxy.embeddings": {"proxy.adapter", "proxy.errors", "proxy.wire"},
    "proxy.eventstream": {"proxy.errors", "proxy.framing"},
    "proxy.keys": {"proxy.exchange"},
    "proxy.sink": set(),
    "proxy.logs": {"proxy.sink"},
}
"""What several adapters or plugins need alike, and what the gateway lends to plugins."""

ADAPTERS_MAY = {
    *("proxy.errors", "proxy.wire", "proxy.framing", "proxy.adapter"),
    *("proxy.failures", "proxy.resets", "proxy.headers", "proxy.chat", "proxy.eventstream"),
    *("proxy.completions", "proxy.counting", "proxy.embeddings", "proxy.forms"),
}
PLUGINS_MAY = {
    *("proxy.errors", "proxy.wire", "proxy.exchange", "proxy.hooks"),
    *("proxy.headers", "proxy.keys", "proxy.logs", "proxy.sink"),
}

AUTHORIZERS = {"_aws", "_copilot", "_gcp", "azure"}
"""Where credentials that expire or sign come from."""

COMPOSITION = {"proxy.app", "proxy.__main__", "proxy.cli"}
"""Built from everything else; only the commands reach down to it, by name or by statement."""

UNNAMED = {"openai", "sim", "custom"}
"""A dialect of ours, a part of the gateway, and an everyday word: no vendors to be kept out."""

NETWORK = {"socket", "asyncio", "aiohttp", "ssl", "selectors", "uvloop", "time", "datetime"}


def test_a_contract_knows_only_the_contracts_below_it() -> None:
    """The words of the project depend on nothing that is built with them."""
    for name, allowed in (CONTRACTS | SHARED).items():
        above = modules()[name].imports() - allowed
        assert not above, f"{name} imports {sorted(above)}"


def test_an_adapter_knows_only_the_contract_and_other_adapters() -> None:
    """A vendor is added by one file that needs to know nothing else of the gateway."""
    for module in _of("adapters"):
        foreign = {name for name in module.imports() if not name.startswith("adapters")}
        assert foreign <= ADAPTERS_MAY, f"{module.where} imports {sorted(foreign - ADAPTERS_MAY)}"


def test_an_adapter_has_no_network_and_no_clock() -> None:
    """Bytes in, bytes out: time and credentials come in as arguments.

    Those who renew or sign with credentials wait for a library to do it, in a thread.
    """
    for module in _of("adapters"):
        found = _foreign_imports(module) & NETWORK
        if module.path.stem in AUTHORIZERS:
            found -= {"asyncio"}
        assert not found, f"{module.where} imports {sorted(found)}"


def test_a_plugin_knows_only_the_contract_and_other_plugins() -> None:
    """A plugin is added by one file, and could as well live in another package."""
    for module in _of("plugins"):
        foreign = {name for name in module.imports() if not name.startswith("plugins")}
        assert foreign <= PLUGINS_MAY, f"{module.where} imports {sorted(foreign - PLUGINS_MAY)}"


def test_the_core_reaches_adapters_and_plugins_by_name_only() -> None:
    """Only the registry may even name the two packages, to list what is in them."""
    for module in _of("proxy"):
        found = {name for name in module.imports() if not name.startswith("proxy")}
        allowed = {"adapters", "plugins"} if module.name == "proxy.registry" else set()
        assert found <= allowed, f"{module.where} imports {sorted(found - allowed)}"


def test_nobody_imports_the_composition_root() -> None:
    """What puts everything together is known to nothing it puts together."""
    for module in modules().values():
        if module.name in COMPOSITION or module.name.startswith("proxy.commands."):
            continue
        found = module.imports() & COMPOSITION
        assert not found, f"{module.where} imports {sorted(found)}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """The staircase can be walked down to its end from every step."""
    graph = {name: module.imports() & modules().keys() for name, module in modules().items()}
    while steps := {name for name, below in graph.items() if not below & graph.keys()}:
        graph = {name: below for name, below in graph.items() if name not in steps}
    assert not graph, f"in a circle, or standing on one: {sorted(graph)}"


def test_imports_stand_at_the_top() -> None:
    """An import inside a function hides a step of the staircase."""
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
                assert not inside, f"{module.where}:{inside[0].lineno} imports in {node.name}"


def test_vendors_are_named_in_their_own_file_only() -> None:
    """What the core knows of one vendor would have to be written again for the next."""
    vendors = {module.path.stem for module in _of("adapters")} - UNNAMED - {"__init__"}
    names = sorted(vendor for vendor in vendors if not vendor.startswith("_"))
    if not names:
        pytest.skip("there is no adapter of a vendor's own format yet")
    pattern = re.compile(rf"\b({'|'.join(names)})\b", re.IGNORECASE)
    for module in _of("proxy") + _of("plugins"):
        found = pattern.search(re.sub(r"https?://\S+", "", module.text))
        assert found is None, f"{module.where} names {found and found[0]}"


def _of(package: str) -> list[Module]:
    return [module for module in modules().values() if module.package == package]


def _foreign_imports(module: Module) -> set[str]:
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
