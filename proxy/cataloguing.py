"""Writes `catalogue.json` anew, from packages that others keep up to date.

For developers: `python -m proxy.cataloguing FOLDER`, where the folder has the wheels of the
packages that the file names as its sources (`pip download --no-deps --dest FOLDER …`). They
are read, and nothing in them is run.
"""

from __future__ import annotations

import ast
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.catalogue import FILE, Document, Facts, Source, plain, read

MAX_BYTES = 150_000

_FLAGS = {
    "v": "image_inputs",
    "p": "pdf_inputs",
    "a": "audio_inputs",
    "t": "tool_calling",
    "j": "structured_output",
    "r": "reasoning_output",
}


class Entry(NamedTuple):
    """One model as a package has it."""

    owner: str
    name: str
    facts: Facts


def profiles(text: str) -> Iterator[Entry]:
    """Read a module of profiles: a dictionary of dictionaries by `name` or `owner/name`."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            for name, profile in ast.literal_eval(node.value).items():
                owner, _, bare = name.rpartition("/")
                if profile.get("text_outputs"):
                    yield Entry(owner, bare, _facts(profile))


def prices(text: str) -> Iterator[Entry]:
    """Read a module of prices: calls of `Provider` with calls of `ModelInfo` inside."""
    for provider in _calls(ast.parse(text), "Provider"):
        owner = _text(provider, "id")
        for model in _calls(provider, "ModelInfo"):
            window = _keyword(model, "context_window")
            if isinstance(window, int) and window > 0:
                yield Entry(owner, _text(model, "id"), (window, None, None))


_READERS: tuple[tuple[str, Callable[[str], Iterator[Entry]]], ...] = (
    ("/data/_profiles.py", profiles),
    ("/data.py", prices),
)
"""How a file in a wheel is read, by the end of its name."""


def build(document: Document, folder: Path) -> Document:
    """Return the document with the facts of the wheels in `folder`.

    Raises:
        FileNotFoundError: a source's wheel is not there.
    """
    sources: list[Source] = []
    models: dict[str, dict[str, Facts]] = {}
    for source in document.sources:
        wheel = _wheel(folder, source.package)
        version = wheel.name.split("-")[1]
        sources.append(msgspec.structs.replace(source, version=version))
        for entry in _entries(wheel):
            vendor = source.vendors.get(entry.owner) or source.vendors.get("*", "")
            vendor = vendor.replace("*", entry.owner)
            if vendor and not entry.owner.startswith("~"):
                _add(models.setdefault(vendor, {}), entry)
    return Document(document.about, sources, models)


def main(arguments: Sequence[str]) -> int:
    """Write the file; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m proxy.cataloguing FOLDER", file=sys.stderr)
        return 2
    document = build(read(), Path(arguments[0]))
    written = render(document)
    if len(written) > MAX_BYTES:
        print(f"{len(written)} bytes are more than {MAX_BYTES}", file=sys.stderr)
        return 1
    (Path(__file__).parent / FILE).write_bytes(written)
    count = sum(map(len, document.models.values()))
    print(f"{count} models of {len(document.models)} vendors, {len(written)} bytes")
    return 0


def render(document: Document) -> bytes:
    """Return the file's bytes: one model a line, so that changes can be read."""
    head = msgspec.json.encode({"about": document.about, "sources": document.sources})
    vendors = []
    for vendor, models in document.models.items():
        lines = [b"%b:%b" % (_json(name), _json(facts)) for name, facts in sorted(models.items())]
        vendors.append(b"%b:{\n%b\n}" % (_json(vendor), b",\n".join(lines)))
    return b'%b,"models":{\n%b\n}}\n' % (head[:-1], b",\n".join(vendors))


def _add(models: dict[str, Facts], entry: Entry) -> None:
    """Add a model, unless an earlier source knows it, by this name or another."""
    if plain(entry.name) not in {plain(name) for name in models}:
        models[entry.name] = entry.facts


def _facts(profile: Mapping[str, Any]) -> Facts:
    """Return what a profile says, without what cannot be."""
    able = {letter for letter, flag in _FLAGS.items() if profile.get(flag)}
    if "v" not in able:
        able.discard("p")  # pages are read as pictures
    context_tokens = profile.get("max_input_tokens") or None
    if "embed" in str(profile.get("name")).lower():
        return context_tokens, None, ""  # its "output" is a vector's length
    letters = "".join(letter for letter in _FLAGS if letter in able)
    return context_tokens, profile.get("max_output_tokens") or None, letters


def _wheel(folder: Path, package: str) -> Path:
    found = sorted(folder.glob(f"{package.replace('-', '_')}-*.whl"))
    if not found:
        raise FileNotFoundError(f"no wheel of {package} in {folder}")
    return found[-1]


def _entries(wheel: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(wheel) as packed:
        for name in sorted(packed.namelist()):
            for ending, reader in _READERS:
                if name.endswith(ending):
                    yield from reader(packed.read(name).decode())


def _calls(node: ast.AST, name: str) -> Iterator[ast.Call]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and getattr(inner.func, "id", None) == name:
            yield inner


def _keyword(call: ast.Call, name: str) -> object:
    for keyword in call.keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant):
            return keyword.value.value
    return None


def _text(call: ast.Call, name: str) -> str:
    return str(_keyword(call, name) or "")


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
