"""A file is taken whole, or every mistake in it is told."""

from __future__ import annotations

import datetime
import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from proxy.config.known import Known
from proxy.config.load import load, located
from proxy.config.problems import ConfigError, Problem
from proxy.config.sources import read
from proxy.config.types import Secret
from tests.proxy.config.conftest import Load, Mistakes

KEYS = {"OPENAI_API_KEY": "sk-a", "OPENAI_API_KEY_2": "sk-b", "ANTHROPIC_API_KEY": "sk-c"}


def test_the_documented_example_is_taken(load_text: Load, example: str) -> None:
    """With units, variables, shorthands and defaults."""
    config = load_text(example, KEYS)
    openai = config.providers["openai"]
    assert config.server.max_body == 32 * 1024 * 1024
    assert config.server.grace == 30
    assert config.server.keep_alive == 75
    assert config.state.redis == Secret("")
    assert [c.value.reveal() for c in openai.credentials] == ["sk-a", "sk-b"]
    assert openai.credentials[1].models == ["gpt-4o*"]
    assert openai.timeouts.total == 600
    assert openai.retries.attempts is None
    assert config.providers["claude"].adapter == "anthropic"
    assert list(config.routes) == ["fast", "cheap", "long", "*"]
    assert config.routes["fast"].deployments[0].weight == 3
    assert config.routes["fast"].fallbacks == ["cheap"]
    assert [entry.name for entry in config.plugins] == ["auth", "access_log", "headers"]
    assert config.plugins[2].options == {"response": {"x-served-by": "headgate"}}


def test_the_example_is_the_same_in_every_language(
    load_text: Load, example: str, tmp_path: Path
) -> None:
    """YAML, JSON and TOML."""
    from_yaml = load_text(example, KEYS)
    tree = read("headgate.yaml").tree
    assert load_text(json.dumps(tree, indent=1), KEYS, "headgate.json") == from_yaml
    del tree["server"]["tls"]  # TOML has no null
    text = _toml(tree)
    assert tomllib.loads(text) == tree
    assert load_text(text, KEYS, "headgate.toml") == from_yaml


def _toml(tree: dict[str, object]) -> str:
    return "\n".join(f"{json.dumps(key)} = {_toml_value(value)}" for key, value in tree.items())


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        members = (f"{json.dumps(k)} = {_toml_value(v)}" for k, v in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(map(_toml_value, value)) + "]"
    return json.dumps(value)


def test_no_secret_is_in_what_a_configuration_prints(load_text: Load) -> None:
    """Not from credentials, keys, URLs, headers or options."""
    text = """\
    state: {redis: "redis://:s3cret@h"}
    store: {url: "postgresql://u:s3cret@h/d"}
    providers:
      openai: {credentials: ["s3cret"], extra_headers: {x-key: s3cret}, options: {key: s3cret}}
    keys: [{name: k, value: s3cret}]
    plugins: [auth: {token: s3cret}]
    """
    assert "s3cret" not in repr(load_text(text))


def test_an_empty_file_is_a_start_without_one(load_text: Load) -> None:
    """Providers, routes and plugins that a file leaves out are found."""
    config = load_text("server: {port: 9}\nproviders:\nroutes: ~\n", KEYS)
    assert list(config.providers) == ["openai", "anthropic", "sim"]
    assert config.routes["*"].deployments[0].provider == "openai"
    assert [entry.name for entry in config.plugins] == ["access_log"]


def test_left_out_routes_go_to_the_first_provider(load_text: Load) -> None:
    """And only the named providers are there."""
    config = load_text("providers: {sim: , openai: {base_url: https://h/v1/}}", KEYS)
    assert list(config.providers) == ["sim", "openai"]
    assert config.providers["openai"].base_url == "https://h/v1"
    assert config.routes["*"].deployments[0].provider == "sim"


def test_keys_bring_auth_into_the_chain(load_text: Load) -> None:
    """Nobody has to remember it."""
    config = load_text(f"keys: [{{name: k, hash: 'sha256:{'a' * 64}'}}]")
    assert [entry.name for entry in config.plugins] == ["auth", "access_log"]


def test_an_empty_list_of_plugins_means_none(load_text: Load) -> None:
    """It is an answer, not an omission."""
    assert load_text("plugins: []").plugins == []


def test_null_leaves_a_setting_at_its_default(load_text: Load) -> None:
    """As does a group with nothing in it."""
    config = load_text("server:\n  port: ~\n  cors:\ndefaults:\n")
    assert config.server.port == 8080
    assert config.server.cors.origins == []


def test_variables_become_what_the_setting_is(load_text: Load) -> None:
    """Numbers, durations, sizes, truth; an empty one leaves an optional setting out."""
    text = """\
    server: {port: "${PORT}", grace: "${GRACE}", metrics: "${M:-False}", max_body: "${NO:-1KiB}"}
    providers: {sim: {workers: "${NO:-}", timeouts: {idle: "${NO:-}"}}}
    routes: {"*": {deployments: [{provider: sim, weight: "${W:-0.5}"}]}}
    """
    config = load_text(text, {"PORT": "1", "GRACE": " 2m"})
    server = config.server
    assert (server.port, server.grace, server.metrics, server.max_body) == (1, 120, False, 1024)
    assert config.providers["sim"].workers is None
    assert config.providers["sim"].timeouts.idle is None
    assert config.routes["*"].deployments[0].weight == 0.5


def test_files_are_read_and_found_beside_the_configuration(
    load_text: Load, tmp_path: Path, known: Known
) -> None:
    """Wherever the gateway was started."""
    (tmp_path / "key").write_text("sk-1\n")
    (tmp_path / "ca.pem").write_text("x")
    load_text("providers: {sim: {credentials: ['file:key'], ca: ca.pem}}")
    config = load(str(tmp_path / "headgate.yaml"), {}, known)
    assert config.providers["sim"].credentials[0].value.reveal() == "sk-1"
    assert config.providers["sim"].ca == str(tmp_path / "ca.pem")


def test_a_variable_that_is_not_needed_is_not_missed(mistakes: Mistakes) -> None:
    """A setting that does not exist needs none."""
    assert mistakes("prt: ${NONE}\nserver: {host: '${NONE}'}") == [
        'headgate.yaml:1: prt: "prt" is not a setting (settings: server, state, store, defaults, '
        "providers, routes, plugins, keys)",
        "headgate.yaml:2: server.host: the environment variable NONE is not set; ${NONE:-…} would "
        "give it a default",
    ]


def test_options_of_adapters_and_plugins_are_expanded_too(load_text: Load) -> None:
    """At any depth; everything that is no text stays as it is."""
    text = (
        "providers: {sim: {options: {a: ['${A}', {b: '${A}'}], c: 1, d: 2.5}}}\nplugins: [auth: ]"
    )
    config = load_text(text, {"A": "x"})
    assert config.providers["sim"].options == {"a": ["x", {"b": "x"}], "c": 1, "d": 2.5}
    assert config.plugins[0].options == {}


def test_header_names_are_in_lower_case(load_text: Load) -> None:
    """As everywhere in the gateway."""
    config = load_text("providers: {sim: {extra_headers: {X-Team: A}}}")
    assert config.providers["sim"].extra_headers == {"x-team": "A"}


def test_an_editor_may_name_its_schema(load_text: Load) -> None:
    """JSON has no comments to put it in."""
    assert load_text('{"$schema": "x.json", "server": {"port": 1}}', name="a.json").server.port == 1


def test_toml_dates_pass_into_options(load_text: Load) -> None:
    """They are nobody's business here."""
    config = load_text("providers.sim.options.day = 2026-11-21", name="a.toml")
    assert config.providers["sim"].options == {"day": datetime.date(2026, 11, 21)}


def test_a_configuration_cannot_be_changed(load_text: Load) -> None:
    """A change is a new configuration."""
    with pytest.raises(AttributeError):
        load_text("").server.port = 1  # type: ignore[misc]
    assert msgspec.structs.replace(load_text("").server, port=1).port == 1


def test_mistakes_that_show_later_get_their_lines(load_text: Load) -> None:
    """The plugins themselves refuse options."""
    load_text("plugins:\n- auth\n- headers:\n    response: 3\n    deep: {x: 1}")
    late = ConfigError(
        [
            Problem("", 0, "plugins[1].headers.response", "is wrong"),
            Problem("", 0, "plugins[1].headers.deep.y", "is wrong"),
            Problem("", 0, "keys[7]", "is wrong"),
        ]
    )
    assert located(late, "headgate.yaml").render().splitlines() == [
        "headgate.yaml:4: plugins[1].headers.response: is wrong",
        "headgate.yaml:5: plugins[1].headers.deep.y: is wrong",
        "headgate.yaml:1: keys[7]: is wrong",
    ]
    assert located(late, None) is late
