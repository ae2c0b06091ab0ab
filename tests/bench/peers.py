"""LiteLLM and Portkey, each installed in an environment of its own under `.bench/`.

Sources: https://docs.litellm.ai/docs/proxy/configs (2025-06-15),
https://github.com/Portkey-AI/gateway/blob/main/README.md (2025-06-15).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from . import servers
from .process import ServerFailed, free_port, running
from .servers import AUTHORIZATION, KEY, PATH, ROOT, Bench, Factory, Server
from .workloads import ROUTES

HOME = ROOT / ".bench"
LITELLM = "litellm[proxy]>=1.100,<2"
PORTKEY = "@portkey-ai/gateway@1.15.2"
INSTALLED_WITHIN_S = 900


@contextlib.contextmanager
def litellm(bench: Bench) -> Iterator[Server]:
    """LiteLLM's proxy with one worker and a key, without a database."""
    port, folder = free_port(), bench.folder / "litellm"
    folder.mkdir(exist_ok=True)
    url = f"http://127.0.0.1:{bench.vendor.port}/v1"
    models = [
        {
            "model_name": route,
            "litellm_params": {"model": f"openai/{model}", "api_base": url, "api_key": "vendor"},
        }
        for route, model in ROUTES.items()
    ]
    config = {"model_list": models, "general_settings": {"master_key": f"sk-{KEY}"}}
    (folder / "config.yaml").write_text(json.dumps(config))
    command = [str(HOME / "litellm" / "bin" / "litellm"), "--config", str(folder / "config.yaml")]
    command += ["--port", str(port), "--host", "127.0.0.1", "--num_workers", "1"]
    headers = {"authorization": f"Bearer sk-{KEY}"}
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with running(command, folder / "log", env, bench.cores) as process:
        server = Server("litellm", process.pid, port, 0.0, headers, knows_routes=True)
        yield servers.answering(server, process)


@contextlib.contextmanager
def portkey(bench: Bench) -> Iterator[Server]:
    """Portkey's gateway on Node; its routing comes with each request, in headers."""
    port, folder = free_port(), bench.folder / "portkey"
    folder.mkdir(exist_ok=True)
    start = HOME / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    command = ["node", str(start), f"--port={port}", "--headless"]
    headers = {
        **AUTHORIZATION,
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{bench.vendor.port}/v1",
    }
    env = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    with running(command, folder / "log", env, bench.cores) as process:
        server = Server("portkey", process.pid, port, 0.0, headers, knows_routes=False, path=PATH)
        yield servers.answering(server, process)


FACTORIES: dict[str, Factory] = {"litellm": litellm, "portkey": portkey}


def install(name: str) -> None:
    """Installs a peer unless it is there.

    Raises:
        ServerFailed: it could not be installed; the message says why.
    """
    folder = HOME / name
    if (folder / "installed").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    commands = {
        "litellm": [
            [sys.executable, "-m", "venv", str(folder)],
            [str(folder / "bin" / "pip"), "install", "--quiet", LITELLM],
        ],
        "portkey": [["npm", "install", "--silent", "--prefix", str(folder), PORTKEY]],
    }
    for command in commands[name]:
        _run(command, folder)
    (folder / "installed").touch()


def version(name: str) -> str | None:
    """Which one is installed."""
    if name == "portkey":
        file = HOME / "portkey/node_modules/@portkey-ai/gateway/package.json"
        return str(json.loads(file.read_text())["version"]) if file.exists() else None
    names = [
        path.name for path in (HOME / name).glob("lib/python*/site-packages/litellm-*.dist-info")
    ]
    return names[0].removeprefix("litellm-").removesuffix(".dist-info") if names else None


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=INSTALLED_WITHIN_S,
        )
    except subprocess.CalledProcessError as error:
        raise ServerFailed(f"cannot be installed: {error.stderr.strip()[-300:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerFailed(f"cannot be installed: {error}") from error
