"""The simulator as a vendor."""

from adapters import openai, sim
from proxy.adapter import Defaults


def test_it_speaks_openais_dialect() -> None:
    """Nothing is written twice: a fix for OpenAI is a fix for the simulator."""
    assert sim.operations is openai.operations
    assert sim.authorize is openai.authorize
    assert sim.error is openai.error


def test_its_address_is_not_known_beforehand() -> None:
    """The composition root starts it and fills the address in; it needs no credential."""
    assert sim.defaults == Defaults()
