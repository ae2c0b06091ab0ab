"""Checked by mypy alone: what is loaded by name keeps its contract."""

from adapters import openai, sim
from plugins.access_log import AccessLog
from plugins.auth import Auth
from plugins.headers import Headers
from proxy.adapter import Adapter
from proxy.hooks import Plugin
from proxy.routing import Strategy
from proxy.routing.priority import Priority
from proxy.routing.random import Random
from proxy.routing.round_robin import RoundRobin
from proxy.routing.weighted import Weighted

ADAPTERS: list[Adapter] = [openai, sim]
PLUGINS: list[type[Plugin]] = [AccessLog, Auth, Headers]
STRATEGIES: list[type[Strategy]] = [Priority, Random, RoundRobin, Weighted]
