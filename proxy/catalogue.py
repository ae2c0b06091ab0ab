"""What is known of models: how much they read and write, and what they take.

Vendors call one model by many names: dated, with a region, a maker or a version around it.
`lookup` finds it by any of them, and says None rather than guess.

The facts are in `catalogue.json`, which also says where they are from: the packages
genai-prices (Pydantic Services Inc.) and langchain-openai and langchain-openrouter (LangChain,
Inc., from the models.dev project), all under the MIT licence. `proxy.cataloguing` writes that
file anew. It is read when first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple, TypeAlias

import msgspec

CAPABILITIES = {
    "v": "vision",
    "p": "pdf",
    "a": "audio",
    "t": "tools",
    "j": "json_schema",
    "r": "reasoning",
}
"""What a model may take or do, by the letter it has in the file."""

FILE = "catalogue.json"

Facts: TypeAlias = tuple[int | None, int | None, str | None]
"""Tokens of the context window and of the longest answer, and letters of `CAPABILITIES`."""

_REGION_AND_MAKER = re.compile(r"^(?:[a-z]{2,6}(?:-gov)?\.)?[a-z][a-z0-9]*\.(?=[a-z])")
_VERSION = re.compile(r"-v\d+(?::\d+(?::[a-z0-9]+)?)?$")
_DATE = re.compile(
    r"-(?:latest|(?:preview-|exp-)?"
    r"(?:20\d\d-?[01]\d-?[0-3]\d|[01]\d-20\d\d|[01]\d-[0-3]\d|\d{3,4}))$"
)


class Model(NamedTuple):
    """What is known of one model.

    Attributes:
        name: the vendor's own.
        vendor: as adapters and presets are called.
        context_tokens: what fits in prompt and answer together; None: not known.
        output_tokens: the longest answer; None: not known.
        capabilities: of the values of `CAPABILITIES`; None: not known.
    """

    name: str
    vendor: str
    context_tokens: int | None
    output_tokens: int | None
    capabilities: frozenset[str] | None


class Source(msgspec.Struct, frozen=True):
    """A package that facts are from, and what it calls our vendors."""

    package: str
    version: str
    licence: str
    vendors: dict[str, str]


class Document(msgspec.Struct):
    """The file: its sources, and the facts by vendor and model."""

    about: str
    sources: list[Source]
    models: dict[str, dict[str, Facts]]


class _Index:
    """Models by their plain names, of one vendor or of all."""

    def __init__(self) -> None:
        self._plain: dict[str, Model] = {}
        self._undated: dict[str, Model] = {}

    def add(self, plain: str, model: Model) -> None:
        """Add a model; of two with the same name the first stays, of two dates the later."""
        self._plain.setdefault(plain, model)
        undated = _DATE.sub("", plain)
        before = self._undated.get(undated)
        if before is None or (before.vendor == model.vendor and before.name < model.name):
            self._undated[undated] = model

    def find(self, plain: str) -> Model | None:
        """Return the model of this name, or the newest of its name without a date."""
        return self._plain.get(plain) or self._undated.get(plain)


def lookup(model: str, vendor: str = "") -> Model | None:
    """Return what is known of a model, or None.

    Args:
        model: as any vendor calls it: `openai/gpt-4o`, `us.maker.name-20250101-v1:0`,
            `publishers/maker/models/name@20250101`, `name-latest`, `ft:name:org::id`.
        vendor: whose name it is; its own facts come before those of others.
    """
    indices = _indices()
    found: Model | None = None
    for name in _shortened(plain(model)):
        for index in (indices.get(vendor), indices[""]):
            more = index.find(name) if index else None
            found = _filled(found, more)
    return found


def _shortened(name: str) -> Iterator[str]:
    """Yield a name as it is, and then with less and less of a date."""
    shorter = ""
    while name != shorter:
        yield name
        shorter, name = name, _DATE.sub("", name)


def _filled(found: Model | None, more: Model | None) -> Model | None:
    """Return the first model, with what is known of the second where it knows nothing."""
    if found is None or more is None:
        return found or more
    return found._replace(
        context_tokens=found.context_tokens or more.context_tokens,
        output_tokens=found.output_tokens or more.output_tokens,
        capabilities=more.capabilities if found.capabilities is None else found.capabilities,
    )


def plain(name: str) -> str:
    """Return a model's name without what vendors put around it; its date stays."""
    name = name.lower()
    if name.startswith("ft:"):
        name = name.split(":")[1]
    name = name.rstrip("/").rpartition("/")[2]
    name = _VERSION.sub("", _REGION_AND_MAKER.sub("", name))
    return name.partition(":")[0].replace("@", "-").replace(".", "-").removesuffix("-default")


def read() -> Document:
    """Read the file."""
    return msgspec.json.decode(files("proxy").joinpath(FILE).read_bytes(), type=Document)


@cache
def _indices() -> dict[str, _Index]:
    """Return the models of each vendor, and under the empty name those of all."""
    indices = {"": _Index()}
    for vendor, models in read().models.items():
        own = indices.setdefault(vendor, _Index())
        for name, (context_tokens, output_tokens, letters) in models.items():
            able = None if letters is None else frozenset(CAPABILITIES[each] for each in letters)
            model = Model(name, vendor, context_tokens, output_tokens, able)
            for index in (own, indices[""]):
                index.add(plain(name), model)
    return indices
