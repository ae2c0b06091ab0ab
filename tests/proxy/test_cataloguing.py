"""How the catalogue is written from the wheels of other packages."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from proxy import cataloguing
from proxy.catalogue import Document, Source
from proxy.cataloguing import Entry, build, main, prices, profiles, render

PROFILES = '''
"""Words."""
from typing import Any
_PROFILES: dict[str, dict[str, Any]] = {
    "maker/seer-1.5": {"name": "Seer", "max_input_tokens": 1000, "max_output_tokens": 10,
        "text_outputs": True, "image_inputs": True, "pdf_inputs": True, "tool_calling": True},
    "maker/reader": {"max_input_tokens": 5, "text_outputs": True, "pdf_inputs": True},
    "maker/embed": {"name": "Embed 3", "max_input_tokens": 7, "max_output_tokens": 1536,
        "text_outputs": True},
    "maker/painter": {"max_input_tokens": 5, "text_outputs": False},
    "~maker/seer-latest": {"max_input_tokens": 5, "text_outputs": True},
}
'''
PRICES = """
raise SystemExit("nobody runs this")
providers = [
    Provider(id='shop', models=[
        ModelInfo(id='maker.seer-1-5-v1:0', context_window=900, match=Is(equals='x')),
        ModelInfo(id='other', context_window=800),
        ModelInfo(id='unknown'),
    ]),
    Provider(id='elsewhere', models=[ModelInfo(id='z', context_window=1)]),
]
"""


def wheel(folder: Path, name: str, inside: str, text: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as packed:
        packed.writestr(inside, text)


def document() -> Document:
    sources = [
        Source("some-profiles", "", "MIT", {"*": "*"}),
        Source("some-prices", "1", "MIT", {"shop": "maker"}),
    ]
    return Document("about", sources, {"old": {"gone": (1, 1, "")}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The wheels of both sources."""
    wheel(tmp_path, "some_profiles-1.2.0", "some_profiles/data/_profiles.py", PROFILES)
    wheel(tmp_path, "some_prices-0.3", "some_prices/data.py", PRICES)
    return tmp_path


def test_profiles_are_read() -> None:
    """Without what writes no text, and without what cannot be."""
    assert list(profiles(PROFILES)) == [
        Entry("maker", "seer-1.5", (1000, 10, "vpt")),
        Entry("maker", "reader", (5, None, "")),
        Entry("maker", "embed", (7, None, "")),
        Entry("~maker", "seer-latest", (5, None, "")),
    ]


def test_prices_are_read_and_not_run() -> None:
    """For their context windows; capabilities are not known."""
    assert list(prices(PRICES)) == [
        Entry("shop", "maker.seer-1-5-v1:0", (900, None, None)),
        Entry("shop", "other", (800, None, None)),
        Entry("elsewhere", "z", (1, None, None)),
    ]


def test_an_earlier_source_is_believed(folder: Path) -> None:
    """Vendors are called as the file says; what it does not name is left out."""
    built = build(document(), folder)
    assert [source.version for source in built.sources] == ["1.2.0", "0.3"]
    assert built.models == {
        "maker": {
            "seer-1.5": (1000, 10, "vpt"),
            "reader": (5, None, ""),
            "embed": (7, None, ""),
            "other": (800, None, None),
        }
    }
    assert json.loads(render(built))["models"]["maker"]["other"] == [800, None, None]


def test_a_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Half a catalogue would look like a whole one."""
    with pytest.raises(FileNotFoundError, match="some-profiles"):
        build(document(), tmp_path)


def test_the_command_writes_the_file(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And says how much it is; too much is not written."""
    monkeypatch.setattr(cataloguing, "read", document)
    monkeypatch.setattr(cataloguing, "__file__", str(tmp_path / "cataloguing.py"))
    written = tmp_path / "catalogue.json"
    monkeypatch.setattr(cataloguing, "MAX_BYTES", 10)
    assert main([str(folder)]) == 1
    assert not written.exists()
    monkeypatch.setattr(cataloguing, "MAX_BYTES", 10_000)
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.startswith("4 models of 1 vendors, ")
    assert "seer-1.5" in written.read_text()
    assert main([]) == 2
