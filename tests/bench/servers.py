"""The servers side by side: the vendor itself, nginx as a plain proxy, Headgate.

Each is a context that starts a process on the server's core and gives a `Server`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import trustme

from . import load
from .process import Cores, Process, free_port, running
from .workloads import FORMATS, ROUTES, TLS_ROUTE, TRANSLATED, WORKLOADS, Workload, body

ROOT = Path(__file__).resolve().parents[2]
PATH = "/v1/chat/completions"
KEY = "bench-key-0123456789abcdef"
AUTHORIZATION = {"authorization": f"Bearer {KEY}"}
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

CALLS_AT_ONCE = 16384
"""Headgate's `workers` for the vendor; its default of 64 would measure the queue."""


class Vendor(NamedTuple):
    """The running mock vendor."""

    pid: int
    port: int
    tls_port: int
    ca: Path
    """PEM file of who signed the TLS port's certificate."""


class Server(NamedTuple):
    """A running server, and how it wants to be asked."""

    name: str
    pid: int
    port: int
    start_s: float
    """From its start to its first 200."""
    headers: dict[str, str]
    knows_routes: bool
    """Whether the request's model is a route; else it is the vendor's model."""
    stream_port: int | None = None
    tls_port: int | None = None
    path: str = PATH

    def port_for(self, workload: Workload) -> int:
        special = self.tls_port if workload.route == TLS_ROUTE else None
        return special or (self.stream_port if workload.stream else None) or self.port

    def body_for(self, workload: Workload) -> bytes:
        return body(workload, workload.route if self.knows_routes else ROUTES[workload.route])

    def request_for(self, workload: Workload) -> bytes:
        return load.request(self.path, self.headers, self.body_for(workload))


class Bench(NamedTuple):
    """What all servers of a run share."""

    folder: Path
    """For configurations and logs; gone after the run."""
    cores: Cores
    vendor: Vendor


Factory = Callable[[Bench], contextlib.AbstractContextManager[Server]]

CHAT = next(workload for workload in WORKLOADS if workload.name == "chat")


@contextlib.contextmanager
def vendor(folder: Path, cores: Cores) -> Iterator[Vendor]:
    """The mock vendor, on the load's side, with a certificate made for this run."""
    authority = trustme.CA()
    ca, cert = folder / "ca.pem", folder / "vendor.pem"
    authority.cert_pem.write_to_path(ca)
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(cert)
    command = [sys.executable, "-m", "tests.bench.vendor", "--cert", str(cert)]
    env = {**os.environ, "PYTHONPATH": python_path(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, cwd=folder) as process:
        try:
            assert process.stdout is not None
            yield Vendor(process.pid, **json.loads(process.stdout.readline()), ca=ca)
        finally:
            process.terminate()


@contextlib.contextmanager
def direct(bench: Bench) -> Iterator[Server]:
    """No server between: what load and vendor take by themselves."""
    its = bench.vendor
    yield Server("direct", its.pid, its.port, 0.0, AUTHORIZATION, knows_routes=False)


@contextlib.contextmanager
def nginx(bench: Bench) -> Iterator[Server]:
    """A plain reverse proxy with one worker: three ports, for whole answers, streams and TLS."""
    port, stream_port, tls_port = free_port(), free_port(), free_port()
    folder = bench.folder / "nginx"
    folder.mkdir(exist_ok=True)
    text = NGINX_CONF.format(
        user="user root;" if os.geteuid() == 0 else "",
        folder=folder,
        port=port,
        stream_port=stream_port,
        tls_port=tls_port,
        vendor=bench.vendor,
    )
    (folder / "nginx.conf").write_text(text)
    command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with running(command, folder / "log", {}, bench.cores) as process:
        yield answering(
            Server(
                "nginx",
                process.pid,
                port,
                0.0,
                AUTHORIZATION,
                knows_routes=False,
                stream_port=stream_port,
                tls_port=tls_port,
            ),
            process,
        )


def headgate(root: Path = ROOT, name: str = "headgate", more: int = 0) -> Factory:
    """Headgate as it stands in `root`, all default plugins on, one process.

    `more`: so many routes and keys that nobody asks for are in its configuration too.
    """

    @contextlib.contextmanager
    def start(bench: Bench) -> Iterator[Server]:
        port, folder = free_port(), bench.folder / name
        folder.mkdir(exist_ok=True)
        file = folder / "headgate.json"
        known = [adapter for adapter in FORMATS if has(adapter, root)]
        config = headgate_config(bench.vendor, known, more)
        file.write_text(json.dumps(config))
        command = [sys.executable, "-m", "proxy", "serve"]
        command += ["--config", str(file), "--port", str(port)]
        env = {"PYTHONPATH": python_path(root), "PYTHONDONTWRITEBYTECODE": ""}
        with running(command, folder / "log", env, bench.cores) as process:
            server = Server(name, process.pid, port, 0.0, AUTHORIZATION, knows_routes=True)
            yield answering(server, process)

    return start


def has(adapter: str, root: Path = ROOT) -> bool:
    """Whether there is an adapter for the rows called translated."""
    return (root / "adapters" / f"{adapter}.py").exists()


def headgate_config(its: Vendor, known: Collection[str], more: int = 0) -> dict[str, Any]:
    """The configuration: every route of the benchmark, a key, the default plugins."""
    url = f"http://127.0.0.1:{its.port}/v1"
    common = {
        "credentials": [{"value": "vendor-key-0123456789"}],
        "workers": CALLS_AT_ONCE,
        "queue": CALLS_AT_ONCE,
    }
    providers = {
        "mock": {"adapter": "openai", "base_url": url, **common},
        "tls": {
            "adapter": "openai",
            "base_url": f"https://localhost:{its.tls_port}/v1",
            "ca": str(its.ca),
            **common,
        },
    }
    provider_of = {TLS_ROUTE: "tls"}
    paths = {"anthropic": "/v1", "gemini": "/v1beta", "bedrock": ""}
    for adapter in known:
        address = f"http://127.0.0.1:{its.port}{paths[adapter]}"
        providers[adapter] = {"adapter": adapter, "base_url": address, **common}
    provider_of |= {route: name for route, name in TRANSLATED.items() if name in known}
    routes = {
        route: {"deployments": [{"provider": provider_of.get(route, "mock"), "model": model}]}
        for route, model in ROUTES.items()
    }
    routes |= {
        f"route-{number}": {"deployments": [{"provider": "mock", "model": "m"}]}
        for number in range(more)
    }
    keys = [{"name": f"key-{number}", "value": f"{KEY}-{number}"} for number in range(more)]
    return {
        "server": {"host": "127.0.0.1", "workers": 1},
        "providers": providers,
        "routes": routes,
        "plugins": [{"auth": {}}, {"access_log": {}}, {"headers": {}}],
        "keys": [*keys, {"name": "bench", "value": KEY}],
    }


def python_path(root: Path) -> str:
    """`root` before whatever the caller has set."""
    return os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))


def answering(server: Server, process: Process) -> Server:
    start_s = process.wait_until_it_answers(server.port, server.request_for(CHAT))
    return server._replace(start_s=start_s)


NGINX_CONF = """
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
error_log stderr warn;
pid {folder}/pid;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  client_body_buffer_size 8m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1;
  proxy_set_header connection "";
  upstream vendor {{
    server 127.0.0.1:{vendor.port};
    keepalive 1024;
    keepalive_requests 1000000000;
  }}
  upstream vendor_tls {{
    server 127.0.0.1:{vendor.tls_port};
    keepalive 1024;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location / {{ proxy_pass http://vendor; }}
  }}
  server {{
    listen 127.0.0.1:{stream_port} backlog=8192;
    location / {{ proxy_pass http://vendor; proxy_buffering off; }}
  }}
  server {{
    listen 127.0.0.1:{tls_port} backlog=8192;
    location / {{
      proxy_pass https://vendor_tls;
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {vendor.ca};
    }}
  }}
}}
"""
