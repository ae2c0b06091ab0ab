"""Names in the configuration to code."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from adapters._presets import presets
from proxy import registry
from proxy.exchange import Exchange
from proxy.hooks import Plugin
from tests.source import ROOT


def files(package: str) -> set[str]:
    """Return the names of the modules that people may name."""
    found = {path.stem for path in Path(ROOT, package).glob("*.py")}
    return {name for name in found if not name.startswith("_")}


def test_the_name_in_the_configuration_is_the_name_of_the_file() -> None:
    """Adding a file is all it takes."""
    assert registry.adapter_names() == files("adapters") | presets.keys()
    assert registry.strategy_names() == files("proxy/routing") - {"table"}
    assert files("plugins") <= registry.plugin_names()


@pytest.mark.parametrize("name", sorted(registry.adapter_names()))
def test_an_adapter_keeps_the_contract(name: str) -> None:
    """What mypy cannot see: that its table is not empty."""
    adapter = registry.adapter(name)

    assert adapter.operations
    assert adapter.defaults.base_url.startswith("http") or not adapter.defaults.base_url
    assert all(callable(operation.request) for operation in adapter.operations.values())


@pytest.mark.parametrize("name", sorted(registry.strategy_names()))
def test_each_route_has_a_strategy_of_its_own(name: str) -> None:
    """Its counters are not shared."""
    assert registry.strategy(name) is not registry.strategy(name)


@pytest.mark.parametrize("kind", ["adapters", "plugins", "proxy.routing"])
def test_whatever_can_be_named_is_checked_against_its_contract(kind: str) -> None:
    """`tests/contracts.py` is where mypy looks."""
    listed = Path(ROOT, "tests", "contracts.py").read_text(encoding="utf-8")
    names = files(kind.replace(".", "/")) - {"table"}

    for name in names:
        assert name in listed, f"add {kind}.{name} to tests/contracts.py"


class Greeting(Plugin):
    """A plugin with an option and a loan."""

    def __init__(self, *, words: str = "hi", sink: object = None) -> None:
        self.words = words
        self.sink = sink

    async def end(self, exchange: Exchange) -> None:
        """Say nothing."""


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("greeting", f"{__name__}:Greeting", registry.PLUGIN_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: Greeting)
    monkeypatch.setattr(registry, "entry_points", lambda group: (point,))
    registry._plugin_class.cache_clear()
    registry.plugin_names.cache_clear()
    yield
    registry._plugin_class.cache_clear()
    registry.plugin_names.cache_clear()


@pytest.mark.usefixtures("_installed")
def test_a_plugin_may_come_from_another_distribution() -> None:
    """By an entry point; it gets its options and what it asks to be lent."""
    made = registry.plugin("greeting", {"words": "hello"}, {"sink": "s", "other": "o"})

    assert "greeting" in registry.plugin_names()
    assert isinstance(made, Greeting)
    assert (made.name, made.words, made.sink) == ("greeting", "hello", "s")


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("options", [{"wrods": "x"}, {"sink": "mine"}, {"self": 1}])
def test_an_option_nobody_knows_is_refused(options: dict[str, object]) -> None:
    """Neither a typing error nor what only the gateway may lend."""
    with pytest.raises(TypeError, match="unknown option"):
        registry.plugin("greeting", options, {"sink": "s"})


@pytest.mark.usefixtures("_installed")
def test_a_plugin_without_loans_is_made_all_the_same() -> None:
    """A service that is not there is left to the default."""
    made = registry.plugin("greeting", {}, {})

    assert isinstance(made, Greeting)
    assert (made.words, made.sink) == ("hi", None)
