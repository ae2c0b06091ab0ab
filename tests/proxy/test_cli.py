"""The command line: what each command prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

import pytest

from proxy import app, cli
from proxy.config.problems import ConfigError, Problem
from proxy.listening import CannotListen
from tests.source import ROOT

COMMANDS = ["serve", "check", "explain", "deployments", "drain", "schema", "sim"]
CONFIG = """
providers:
  sim: {options: {tokens: 3}}
routes:
  fast:
    strategy: round_robin
    deployments: [{provider: sim, model: a}, {provider: sim, model: b}]
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No vendor's key and no configuration of whoever runs the tests."""
    for name in list(os.environ):
        if re.search(r"_KEY|_BASE_URL|^HEADGATE_|^AWS_|^GOOGLE_|^AZURE_", name):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that is right."""
    path = tmp_path / "headgate.yaml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example is a line that can be pasted."""
    with pytest.raises(SystemExit) as left:
        cli.run([command, "--help"])
    assert left.value.code == 0
    assert f"\n  headgate {command}" in capsys.readouterr().out


def test_every_command_has_a_file_and_every_file_a_command() -> None:
    """Commands are found by name, so nothing else would tell."""
    files = {path.stem for path in (ROOT / "proxy" / "commands").glob("*.py")}
    assert files - {"__init__"} == set(COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["swerve"],
        ["serve", "--port", "65536"],
        ["serve", "--port", "http"],
        ["serve", "--workers", "0"],
        ["explain"],
        ["sim", "--port", "-1"],
    ],
)
def test_wrong_arguments_are_exit_code_2(arguments: list[str]) -> None:
    """Like any wrong configuration."""
    with pytest.raises(SystemExit) as left:
        cli.run(arguments)
    assert left.value.code == 2


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Bug reports begin with it."""
    with pytest.raises(SystemExit) as left:
        cli.run(["--version"])
    assert left.value.code == 0
    assert re.fullmatch(r"headgate \S+\n", capsys.readouterr().out)


def test_a_right_configuration_is_summed_up(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Providers, routes and plugins by name, so that a missing one is seen."""
    assert cli.run(["check", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"ok: {config}"
    assert lines[1].split()[:2] == ["providers", "sim"]
    assert "fast (round_robin, 2)" in lines[2]
    assert lines[3].split()[0] == "plugins"
    assert not any(line.startswith("warning") for line in lines)


def test_the_example_of_the_repository_is_right(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is what a user copies first."""
    monkeypatch.setenv("OPENAI_API_KEY", "a-credential")
    monkeypatch.setenv("ALICE_KEY", "hg-alice-0123456789abcdef")
    assert cli.run(["check", "--config", str(ROOT / "deploy" / "headgate.example.yaml")]) == 0
    assert "warning" not in capsys.readouterr().out


def test_the_variable_names_the_file_where_the_option_does_not(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Containers are configured like that."""
    monkeypatch.setenv(cli.CONFIG_VARIABLE, str(config))
    assert cli.run(["check"]) == 0
    assert f"ok: {config}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("addition", "warning"),
    [
        ("server: {host: 0.0.0.0}", "no client keys"),
        (
            "server: {host: 0.0.0.0}\nkeys: [{name: a, value: hg-0123456789abcdef}]",
            "no `server.tls`",
        ),
    ],
)
def test_what_is_doubtful_is_a_warning(
    config: Path, capsys: pytest.CaptureFixture[str], addition: str, warning: str
) -> None:
    """It may be meant, so it is no mistake."""
    config.write_text(CONFIG + addition)
    assert cli.run(["check", "--config", str(config)]) == 0
    assert f"warning: {warning}" in capsys.readouterr().out


def test_a_wrong_configuration_is_told_in_one_line_a_mistake(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, with the line, the path and the nearest right name; exit code 2."""
    config.write_text(CONFIG.replace("{provider: sim, model: b}", "{provider: sin, model: b}"))
    assert cli.run(["check", "--config", str(config)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith(f"{config}:7: routes.fast.deployments[1].provider: ")
    assert '"sim"' in line


def test_a_missing_file_is_a_wrong_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a traceback."""
    assert cli.run(["check", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """And describes the file."""
    assert cli.run(["schema"]) == 0
    assert "providers" in json.loads(capsys.readouterr().out)["properties"]


def test_an_explanation_is_printed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the route and its deployments."""
    assert cli.run(["explain", "--config", str(config), "--model", "fast"]) == 0
    printed = capsys.readouterr().out
    assert "'fast'" in printed
    assert "sim/a" in printed


@pytest.mark.parametrize(
    ("arguments", "word"), [(["--model", "slow"], "slow"), (["--model", "fast", "--key", "x"], "x")]
)
def test_what_nobody_serves_is_one_line(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    """On standard error, with exit code 1."""
    assert cli.run(["explain", "--config", str(config), *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("headgate explain: ")
    assert word in line


def test_options_of_serve_go_over_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those that were given."""
    seen: list[Any] = []
    monkeypatch.setattr(app, "serve", lambda *arguments: seen.append(arguments) or 0)
    assert cli.run(["serve", "--config", "x.yaml", "--port", "0"]) == 0
    assert cli.run(["serve", "--host", "::1", "--workers", "3"]) == 0
    assert seen == [
        ("x.yaml", app.Overrides(port=0)),
        (None, app.Overrides(host="::1", workers=3)),
    ]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CannotListen("cannot listen on a:1: taken"), 1, "headgate serve: cannot listen on a:1"),
        (ConfigError([Problem("x.yaml", 3, "routes", "is empty")]), 2, "x.yaml:3: routes: is"),
    ],
)
def test_a_gateway_that_cannot_start_says_why_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    line: str,
) -> None:
    """A taken address is 1, a wrong configuration 2."""

    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr(app, "serve", refuse)
    assert cli.run(["serve"]) == code
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(line)


@pytest.fixture
def simulator() -> Iterator[SimpleNamespace]:
    """`headgate sim` as a process, and its address."""
    command = [sys.executable, "-m", "proxy", "sim", "--port", "0", "--key", "k", "tokens=3"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    with process.stdout:
        address = process.stdout.readline().split()[-1]
        yield SimpleNamespace(process=process, address=address)
        process.kill()
        process.wait()


def test_the_simulator_answers_and_stops(simulator: SimpleNamespace) -> None:
    """As a vendor of its own, with a key, until SIGTERM."""
    request = Request(
        f"{simulator.address}/chat/completions",
        json.dumps({"model": "x", "messages": [{"role": "user", "content": "hi"}]}).encode(),
        {"authorization": "Bearer k", "content-type": "application/json"},
    )
    with urlopen(request, timeout=10) as answer:
        assert json.load(answer)["object"] == "chat.completion"
    simulator.process.send_signal(signal.SIGTERM)
    assert simulator.process.wait(10) == 0


@pytest.mark.parametrize("option", ["tokens", "tokens=many", "tokns=3"])
def test_a_wrong_option_of_the_simulator_is_one_line(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names what is allowed."""
    assert cli.run(["sim", option]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("headgate sim: ")
