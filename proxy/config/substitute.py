"""`${NAME}`, `${NAME:-default}`, `$$` and `file:/path` in the texts of a configuration.

Nothing is looked up before the value is needed, so a variable that only an unused or a wrong
setting names is never missed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from proxy.config.problems import quote

_SIGN = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:-)([^}]*))?\}|(\{))")
_FROM_FILE = "file:"
_LARGEST_BYTES = 1024 * 1024


class Substitution:
    """Knows the environment, and the folder where relative files are."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self.folder = folder

    def expand(self, text: str) -> str:
        """Return `text` with everything in its place.

        Raises:
            ValueError: a variable is not set, a `${` does not end, a file cannot be read.
        """
        expanded = _SIGN.sub(self._replace, text) if "$" in text else text
        if text.startswith(_FROM_FILE):
            return self._read(expanded.removeprefix(_FROM_FILE))
        return expanded

    def _replace(self, match: re.Match[str]) -> str:
        dollar, name, has_default, default, broken = match.groups()
        if dollar:
            return "$"
        if broken:
            raise ValueError("${ must be followed by a variable's name and }; $$ is a plain $")
        value = self._environ.get(name)
        if not value and not has_default:
            state = "not set" if value is None else "empty"
            message = f"the environment variable {name} is {state}"
            raise ValueError(f"{message}; ${{{name}:-…}} would give it a default")
        return value or default or ""

    def _read(self, name: str) -> str:
        try:
            with (self.folder / name).open("rb") as stream:
                raw = stream.read(_LARGEST_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no file name"
            raise ValueError(f"cannot read the file {quote(name)}: {reason}") from error
        if len(raw) > _LARGEST_BYTES:
            raise ValueError(f"the file {quote(name)} is larger than {_LARGEST_BYTES} bytes")
        try:
            return raw.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"the file {quote(name)} is not in UTF-8") from error


def is_substituted(text: str) -> bool:
    """Tell whether `text` stands for another."""
    return text.startswith(_FROM_FILE) or _SIGN.search(text) is not None
