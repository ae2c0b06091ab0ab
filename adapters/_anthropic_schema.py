"""JSON Schema down to what binds Claude's answers.

What the vendor's subset lacks is not lost: it goes into the description, where the model reads
it, and is named, so that nobody believes it is enforced.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs (2026-11-21)
"""

from __future__ import annotations

from typing import Any

_FORMATS = frozenset(
    {
        *("date-time", "time", "date", "duration", "email", "hostname"),
        *("uri", "ipv4", "ipv6", "uuid"),
    }
)
_KEPT = frozenset({"type", "title", "description", "const", "enum", "required", "default", "$ref"})
_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "examples", "deprecated", "strict"})
_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_MAPS = {"properties", "$defs", "definitions"}


def plain(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what can be sent of a schema, and the keywords that only its words still say."""
    missing: set[str] = set()
    return _cleaned(schema, missing), sorted(missing)


def is_recursive(schema: dict[str, Any]) -> bool:
    """Whether a schema contains itself, which the vendor refuses."""
    definitions = {
        f"#/{place}/{name}": each
        for place in ("$defs", "definitions")
        for name, each in (schema.get(place) or {}).items()
    }
    return _comes_back({"$ref": "#"}, {"#": schema, **definitions}, ())


def _comes_back(node: Any, known: dict[str, Any], above: tuple[str, ...]) -> bool:
    if isinstance(node, list):
        return any(_comes_back(each, known, above) for each in node)
    if not isinstance(node, dict):
        return False
    pointer = node.get("$ref")
    if isinstance(pointer, str) and pointer in known:
        if pointer in above:
            return True
        if _comes_back(known[pointer], known, (*above, pointer)):
            return True
    inside = [value for key, value in node.items() if key not in ("$defs", "definitions")]
    return _comes_back(inside, known, above)


def _cleaned(schema: Any, missing: set[str]) -> dict[str, Any]:
    if not isinstance(schema, dict):
        return {}
    cleaned: dict[str, Any] = {}
    words: list[str] = []
    for keyword, value in schema.items():
        if not _take(cleaned, keyword, value, missing):
            missing.add(keyword)
            words.append(f"{keyword}: {value}")
    if cleaned.get("type") == "object" or "properties" in cleaned:
        cleaned["additionalProperties"] = False
    if words:
        said = [cleaned["description"]] if "description" in cleaned else []
        cleaned["description"] = "\n\n".join([*said, "{" + ", ".join(words) + "}"])
    return cleaned


def _take(cleaned: dict[str, Any], keyword: str, value: Any, missing: set[str]) -> bool:
    """Take one keyword over; False if the vendor does not know it."""
    if keyword in _ANNOTATIONS or (keyword == "additionalProperties" and value is False):
        return True
    if keyword in _KEPT or _is_small(keyword, value):
        cleaned[keyword] = value
    elif keyword in _MAPS and isinstance(value, dict):
        cleaned[keyword] = {name: _cleaned(each, missing) for name, each in value.items()}
    elif keyword in _LISTS and isinstance(value, list):
        cleaned[_LISTS[keyword]] = [_cleaned(each, missing) for each in value]
    elif keyword == "items" and isinstance(value, dict):
        cleaned["items"] = _cleaned(value, missing)
    else:
        return False
    return True


def _is_small(keyword: str, value: Any) -> bool:
    """Whether a keyword is taken with this value, though not with every other."""
    return (keyword == "format" and value in _FORMATS) or (
        keyword == "minItems" and value in (0, 1)
    )
