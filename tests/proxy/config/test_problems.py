"""The one line that a mistake gets."""

from __future__ import annotations

import pytest

from proxy.config.problems import ConfigError, Place, Problem, Report, quote, render_place, unknown


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem("f.yaml", 3, "a.b", "is wrong"), "f.yaml:3: a.b: is wrong"),
        (Problem("f.yaml", None, "", "is wrong"), "f.yaml: is wrong"),
        (Problem("f.yaml", 0, "a", "is wrong"), "f.yaml: a: is wrong"),
    ],
)
def test_what_is_unknown_is_left_out(problem: Problem, line: str) -> None:
    """File, line, path, message: as far as there are any."""
    assert problem.render() == line
    assert str(ConfigError([problem])) == line


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ((), ""),
        (("routes", "fast", "deployments", 1, "provider"), "routes.fast.deployments[1].provider"),
        (("routes", "gpt-4*", "strategy"), 'routes["gpt-4*"].strategy'),
        (("routes", 'a"\n'), 'routes["a"\\n"]'),
    ],
)
def test_a_path_reads_like_code(place: Place, path: str) -> None:
    """Names with other signs stand in quotation marks."""
    assert render_place(place) == path


def test_of_mistakes_along_one_path_the_first_is_kept() -> None:
    """The others follow from it."""
    report = Report("f", {(): 1, ("a",): 2, ("b",): 1})
    report.add(("a",), "first")
    report.add(("a", "x"), "second")
    report.add(("a",), "third")
    report.add(("b", 0), "other")
    with pytest.raises(ConfigError) as caught:
        report.check()
    assert caught.value.render().splitlines() == ["f:1: b[0]: other", "f:2: a: first"]


def test_nothing_wrong_is_nothing_raised() -> None:
    """An empty report passes."""
    Report("f").check()


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    """Long lists are cut."""
    assert unknown("opnai", "a provider", ["openai", "claude"], "providers") == (
        '"opnai" is not a provider; did you mean "openai"? (providers: openai, claude)'
    )
    assert unknown("x", "a route", [], "routes") == '"x" is not a route (there are no routes)'
    many = [f"n{i}" for i in range(30)]
    assert unknown("?", "a route", many, "routes").endswith("n18, n19 and 10 more)")


def test_a_quoted_text_stays_on_its_line() -> None:
    """Control characters are escaped, long texts cut."""
    assert quote("a\nb\x1b") == '"a\\nb\\x1b"'
    assert len(quote("x" * 1000)) == 103
