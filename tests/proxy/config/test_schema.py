"""The schema that editors check a file with."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from msgspec import inspect

from proxy.config import structs
from proxy.config.schema import schema
from proxy.config.sources import read
from tests.proxy.config.conftest import Load, Mistakes


def errors(tree: Any) -> list[str]:
    found = jsonschema.Draft202012Validator(schema()).iter_errors(tree)
    return [error.json_path for error in found]


def test_the_schema_is_one() -> None:
    """By the rules of JSON Schema."""
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_documented_example_fits(load_text: Load, example: str) -> None:
    """Shorthands, units, variables, nulls."""
    environ = {"OPENAI_API_KEY": "a", "OPENAI_API_KEY_2": "b", "ANTHROPIC_API_KEY": "c"}
    load_text(example, environ)
    assert errors(read("headgate.yaml").tree) == []


@pytest.mark.parametrize(
    "tree",
    [
        {"server": {"grace": "1h30m", "ping": 0, "port": "${PORT}", "max_body": 5, "tls": None}},
        {"providers": {"sim": None, "x": {"adapter": "sim", "credentials": ["file:x"]}}},
        {"plugins": ["auth", {"auth": None}, {"auth": {"a": [1]}}], "$schema": "x"},
        {"keys": [{"name": "a", "value": "b"}]},
    ],
)
def test_what_loads_fits(load_text: Load, tree: dict[str, Any]) -> None:
    """The schema is no stricter than the loader."""
    assert errors(tree) == []


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"sever": {}}, "$"),
        ({"server": {"grace": "soon"}}, "$.server"),
        ({"server": {"port": 70000}}, "$.server"),
        ({"server": {"header_timeout": 0}}, "$.server"),
        ({"server": {"max_body": "5k"}}, "$.server"),
        ({"routes": {"a": {"deployments": [], "strategy": "x"}}}, "$.routes.a"),
        ({"plugins": [{"a": {}, "b": {}}]}, "$.plugins[0]"),
        ({"plugins": [3]}, "$.plugins[0]"),
        ({"keys": [{}]}, "$.keys[0]"),
        ({"providers": {"sim": {"credentials": [{"weight": 1}]}}}, "$.providers.sim"),
    ],
)
def test_what_is_wrong_does_not_fit(tree: dict[str, Any], path: str) -> None:
    """An editor underlines it before the loader says it."""
    assert errors(tree) == [path]


def test_every_setting_is_described() -> None:
    """A group by its own words, a value by its field's."""
    for name, definition in schema()["$defs"].items():
        assert definition.get("description") or definition.get("anyOf"), name
        for field, written in definition.get("properties", {}).items():
            assert written.get("description") or "$ref" in str(written), f"{name}.{field}"


def test_defaults_are_written_as_a_file_would_have_them() -> None:
    """With their units."""
    server = schema()["$defs"]["Server"]["properties"]
    defaults = {name: written.get("default") for name, written in server.items()}
    assert defaults["grace"] == "30s"
    assert defaults["max_body"] == "32MiB"
    assert defaults["port"] == 8080
    assert defaults["metrics"] is True
    assert schema()["$defs"]["Credential"]["anyOf"][1]["properties"]["weight"]["default"] == 1


def test_every_struct_of_the_configuration_is_in_the_schema() -> None:
    """None is forgotten."""
    fields = inspect.type_info(structs.Config)
    assert isinstance(fields, inspect.StructType)
    assert set(schema()["properties"]) == {field.name for field in fields.fields} | {"$schema"}


def test_a_default_of_the_schema_loads_as_the_default(mistakes: Mistakes, load_text: Load) -> None:
    """Writing it out changes nothing."""
    groups = {"Server": "server", "Store": "store", "Defaults": "defaults"}
    for definition, group in groups.items():
        fields = schema()["$defs"][definition]["properties"]
        written = {name: f["default"] for name, f in fields.items() if "default" in f}
        assert written
        assert load_text(f"{group}: {written}") == load_text("")
