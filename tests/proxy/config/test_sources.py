"""Files as plain values, with lines."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from proxy.config.problems import ConfigError
from proxy.config.sources import Source, read

VALUE = {
    "server": {"port": 1, "grace": "30s", "on": True, "half": 0.5},
    "routes": {"gpt-4*": {"deployments": [{"provider": "a"}, {"provider": "b"}]}},
    "names": ["x", "y"],
}
YAML = """\
# comment
server: {port: 1, grace: 30s, on: true, half: 0.5}
routes:
  "gpt-4*":
    deployments:
      - provider: a
      - {provider: b}
names:
  - x
  - y
"""
JSON = """\
{
  "server": {"port": 1, "grace": "30s", "on": true, "half": 0.5},
  "routes": {
    "gpt-4*": {"deployments": [
      {"provider": "a"},
      {"provider": "b"}
    ]}
  },
  "names": ["x",
    "y"]
}
"""
TOML = """\
names = ["x", # ] not yet
  "y"]
server = {port = 1, grace = '30s', on = true, half = 0.5}

[[routes."gpt-4*".deployments]]
provider = "a"
[[routes."gpt-4*".deployments]]
provider = \"\"\"\\
  b\"\"\"
"""


def source(tmp_path: Path, text: str, suffix: str = ".yaml") -> Source:
    path = tmp_path / f"f{suffix}"
    path.write_text(text, encoding="utf-8")
    return read(str(path))


def broken(tmp_path: Path, text: str | bytes, suffix: str = ".yaml") -> str:
    path = tmp_path / f"f{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        read(str(path))
    return caught.value.render().removeprefix(str(path))


@pytest.mark.parametrize(
    ("suffix", "text", "second", "last"),
    [(".yaml", YAML, 7, 10), (".yml", YAML, 7, 10), (".json", JSON, 6, 10), (".toml", TOML, 8, 2)],
)
def test_every_language_gives_the_same_values_and_its_own_lines(
    tmp_path: Path, suffix: str, text: str, second: int, last: int
) -> None:
    """Nobody further on can tell which it was."""
    found = source(tmp_path, text, suffix)
    assert found.tree == VALUE
    place = ("routes", "gpt-4*", "deployments", 1, "provider")
    assert found.lines[place] == second
    assert found.lines["names", 1] == last
    assert found.doubles == []


def test_plain_words_of_yaml_mean_what_they_say(tmp_path: Path) -> None:
    """No Norway, no sexagesimal numbers, no dates; keys are texts."""
    text = (
        "a: [no, on, 1:30, 2024-01-01, 0x1F, 0o17, 1e3, ~, '1', !!str 12, -.inf, True, 010]\n4: 5"
    )
    found = source(tmp_path, text).tree
    assert found == {
        "a": [
            *("no", "on", "1:30", "2024-01-01", 31, 15, 1000.0, None, "1", "12"),
            *(-float("inf"), True, 10),
        ],
        "4": 5,
    }


def test_anchors_and_merges_work_and_the_nearer_value_wins(tmp_path: Path) -> None:
    """Also from several mappings: the first one is the strongest."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\nd: *a"
    found = source(tmp_path, text).tree
    assert found["c"] == {"x": 3, "y": 1, "z": 2}
    assert found["d"] == {"x": 1, "y": 1}


@pytest.mark.parametrize(
    ("suffix", "text", "line"),
    [(".yaml", "a:\n  b: 1\n  c: 2\n  b: 3", 4), (".json", '{"a": {"b": 1,\n"c": 2,\n"b": 3}}', 3)],
)
def test_a_key_given_twice_is_told_with_its_second_line(
    tmp_path: Path, suffix: str, text: str, line: int
) -> None:
    """TOML's own reader refuses it."""
    assert source(tmp_path, text, suffix).doubles == [(("a", "b"), line)]


@pytest.mark.parametrize("suffix", [".yaml", ".json", ".toml"])
def test_an_empty_file_is_empty(tmp_path: Path, suffix: str) -> None:
    """It is no mistake to configure nothing."""
    assert source(tmp_path, "", suffix).tree in (None, {})


@pytest.mark.parametrize(
    ("suffix", "text", "said"),
    [
        (".yaml", "a: 1\nb: [", ":3: no YAML: "),
        (".yaml", "a: 1\n---\nb: 1", ":2: no YAML: "),
        (".yaml", "a: 1\nb: !!python/name:os x", ":2: no YAML: "),
        (".yaml", "a: !!int word", ":1: no YAML: "),
        (".yaml", "a: 1\n? [x]\n: 2", ":2: no YAML: a key must be a text"),
        (".yaml", "<<: 3", ":1: no YAML: << takes mappings"),
        (".yaml", "a: &a [*a]", ":1: no YAML: too much nesting"),
        (".yaml", "a: \x00", ": it has characters that YAML does not allow"),
        (".yaml", b"a: 1\nb: \xff", ":2: it is not in UTF-8"),
        (".json", '{"a": 1,\n"b" 2}', ":2: no JSON: Expecting ':' delimiter"),
        (".json", '{"a": NaN}', ": no JSON: NaN is no number"),
        (".json", "[" * 100_000, ": it is nested too deeply"),
        (".toml", "a = 1\nb = \n", ":2: no TOML: Invalid value"),
        (".toml", "a = 1\na = 2\n", ":2: no TOML: Cannot overwrite a value"),
        (".ini", "", ": the name must end in .yaml, .yml, .json, .toml"),
    ],
)
def test_a_broken_file_is_one_line_with_the_place(
    tmp_path: Path, suffix: str, text: str | bytes, said: str
) -> None:
    """Whatever its language's reader finds."""
    assert broken(tmp_path, text, suffix).startswith(said)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """In the words of the system."""
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        read(str(tmp_path / "none.yaml"))


def test_anchors_cannot_blow_a_file_up(tmp_path: Path) -> None:
    """A few lines that would be billions of values are refused."""
    names = "abcdefghijkl"
    rows = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise(names)]
    text = "\n".join(["a: &a [1]", *rows])
    assert "too much nesting" in broken(tmp_path, text)


def test_merges_cannot_blow_a_file_up(tmp_path: Path) -> None:
    """Each mapping is merged once, however often it is named."""
    rows = [f"k{i}: &k{i} {{<<: [*k{i - 1}, *k{i - 1}]}}" for i in range(1, 40)]
    tree = source(tmp_path, "\n".join(["k0: &k0 {x: 1}", *rows])).tree
    assert tree["k39"] == {"x": 1}
