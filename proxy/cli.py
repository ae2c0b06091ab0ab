"""The command line: which commands there are and what they take.

A command's own file is `proxy/commands/<name>.py`; it is found by name when it is needed.
"""

from __future__ import annotations

import argparse
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from proxy.config.problems import ConfigError
from proxy.version import VERSION

CONFIG_VARIABLE = "HEADGATE_CONFIG"
"""Names the configuration file where `--config` does not."""

WRONG_CONFIGURATION = 2
FAILED = 1


class CommandError(Exception):
    """A command cannot do its work; the text is for the user."""


class _Code(Protocol):
    """What `proxy/commands/<name>.py` must define."""

    def run(self, arguments: Namespace) -> int:
        """Do it and return the process's exit code."""


class _Command(NamedTuple):
    """One command as `--help` shows it."""

    summary: str
    example: str
    arguments: Callable[[ArgumentParser], None]


def run(argv: Sequence[str]) -> int:
    """Run one command and return the process's exit code."""
    arguments = _parser().parse_args(argv)
    code = cast(_Code, import_module(f"proxy.commands.{arguments.command}"))
    try:
        return code.run(arguments)
    except ConfigError as error:
        print(error.render(), file=sys.stderr)
        return WRONG_CONFIGURATION
    except CommandError as error:
        print(f"headgate {arguments.command}: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # `headgate schema | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return 130


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="headgate", description="A gateway to language models in OpenAI's wire format."
    )
    parser.add_argument("--version", action="version", version=f"headgate {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, command in _COMMANDS.items():
        one = commands.add_parser(
            name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=f"example:\n{command.example}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        command.arguments(one)
    return parser


def _config(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=os.environ.get(CONFIG_VARIABLE) or None,
        help=f"YAML, JSON or TOML; default: ${CONFIG_VARIABLE}, else providers are found "
        "from the environment",
    )


def _serve(parser: ArgumentParser) -> None:
    _config(parser)
    parser.add_argument("--host", help="address to listen on, over the configuration's")
    parser.add_argument("--port", type=_port, help="port to listen on; 0 takes a free one")
    parser.add_argument("--workers", type=_count, help="processes that share the port")


def _check(parser: ArgumentParser) -> None:
    _config(parser)
    parser.add_argument(
        "--live",
        action="store_true",
        help="also call every deployment (chat, stream, tool call, JSON schema, embeddings) and "
        "say what works; this costs a few tokens",
    )


def _explain(parser: ArgumentParser) -> None:
    _config(parser)
    parser.add_argument("--model", required=True, help="the name a client would send")
    parser.add_argument("--key", help="name of a client key of the configuration")
    parser.add_argument("--body", metavar="FILE", help="a request's JSON body; - is standard input")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header of the request, as 'x-headgate-tags: region=eu'; may be given again",
    )


def _deployments(parser: ArgumentParser) -> None:
    _gateway(parser)


def _drain(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a provider, or provider/model")
    parser.add_argument("--undo", action="store_true", help="let it have new calls again")
    _gateway(parser)


def _gateway(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--url", default="http://127.0.0.1:8080", help="the running gateway; default: %(default)s"
    )
    parser.add_argument("--key", default="", help="an admin's key; default: $HEADGATE_ADMIN_KEY")


def _sim(parser: ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=_port, default=8081, help="default: %(default)s")
    parser.add_argument("--key", default="", help="what clients must send; default: anything")
    parser.add_argument(
        "options",
        nargs="*",
        metavar="name=value",
        help="how it behaves: latency=200ms, tokens=50, fault=status-503, rate=0.1, ...",
    )


def _nothing(_: ArgumentParser) -> None:
    """Take no arguments."""


def _port(text: str) -> int:
    number = _number(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return number


def _count(text: str) -> int:
    number = _number(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return number


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else -1


_COMMANDS = {
    "serve": _Command(
        "start the gateway",
        "  headgate serve\n  headgate serve --config headgate.yaml --port 9000 --workers 4",
        _serve,
    ),
    "check": _Command(
        "check a configuration and say what is in it",
        "  headgate check --config headgate.yaml\n  headgate check --live",
        _check,
    ),
    "explain": _Command(
        "say which deployments would serve a request, without calling any",
        "  headgate explain --config headgate.yaml --model fast",
        _explain,
    ),
    "deployments": _Command(
        "say how the providers of a running gateway are doing",
        "  headgate deployments\n  headgate deployments --url https://gateway.example --key K",
        _deployments,
    ),
    "drain": _Command(
        "let a provider or a model get no new calls; those under way go on",
        "  headgate drain openai/gpt-4o\n  headgate drain openai/gpt-4o --undo",
        _drain,
    ),
    "schema": _Command(
        "print the JSON Schema of the configuration, for editors",
        "  headgate schema > headgate.schema.json",
        _nothing,
    ),
    "sim": _Command(
        "start the simulator alone, as a vendor",
        "  headgate sim --port 8081 latency=200ms fault=status-503 rate=0.1",
        _sim,
    ),
}
