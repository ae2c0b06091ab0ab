"""A configuration's version."""

from __future__ import annotations

import re

from proxy.config.fingerprint import fingerprint
from tests.proxy.config.conftest import Load

TEXT = """\
providers: {sim: {credentials: [a], extra_headers: {x: y}}}
routes: {a: {deployments: [{provider: sim}]}}
"""


def test_the_same_settings_have_the_same_version(load_text: Load) -> None:
    """However they are written."""
    version = fingerprint(load_text(TEXT))
    assert re.fullmatch("[0-9a-f]{12}", version)
    assert fingerprint(load_text("# comment\n" + TEXT.replace("[a]", "[{value: a}]"))) == version


def test_any_other_setting_is_another_version(load_text: Load) -> None:
    """A secret's change as well."""
    texts = [TEXT, TEXT.replace("[a]", "[b]"), TEXT.replace("y}", "z}"), TEXT + "plugins: []"]
    assert len({fingerprint(load_text(text)) for text in texts}) == len(texts)
