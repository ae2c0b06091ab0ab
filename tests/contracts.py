"""Checked by mypy alone: what is loaded by name keeps its contract."""

from adapters import (
    anthropic,
    azure,
    bedrock,
    cohere,
    custom,
    gemini,
    github,
    huggingface,
    mistral,
    ollama,
    openai,
    replicate,
    sim,
    stability,
    vertex,
)
from adapters._presets import presets
from plugins.access_log import AccessLog
from plugins.auth import Auth
from plugins.headers import Headers
from proxy.adapter import Adapter
from proxy.hooks import Plugin
from proxy.routing import Strategy
from proxy.routing.cost import Cost
from proxy.routing.latency import Latency
from proxy.routing.least_busy import LeastBusy
from proxy.routing.priority import Priority
from proxy.routing.random import Random
from proxy.routing.round_robin import RoundRobin
from proxy.routing.sticky import Sticky
from proxy.routing.throughput import Throughput
from proxy.routing.usage import Usage
from proxy.routing.weighted import Weighted

ADAPTERS: list[Adapter] = [
    anthropic,
    azure,
    bedrock,
    cohere,
    custom,
    gemini,
    github,
    huggingface,
    mistral,
    ollama,
    openai,
    replicate,
    sim,
    stability,
    vertex,
]
PRESETS: list[Adapter] = [preset() for preset in presets.values()]
PLUGINS: list[type[Plugin]] = [AccessLog, Auth, Headers]
STRATEGIES: list[type[Strategy]] = [
    *(Cost, Latency, LeastBusy, Priority, Random, RoundRobin),
    *(Sticky, Throughput, Usage, Weighted),
]
