"""Variables and files in texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.substitute import Substitution, is_substituted


@pytest.fixture
def substitution(tmp_path: Path) -> Substitution:
    (tmp_path / "secret").write_bytes(b"s3cret\r\n\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    return Substitution({"A": "1", "EMPTY": "", "TRICK": "${A} $$ file:secret"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${NONE:-d}", "d"),
        ("${NONE:-}", ""),
        ("${EMPTY:-d}", "d"),
        ("${A:-d}", "1"),
        ("${NONE:-a:-b $x}", "a:-b $x"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$12.50", "$12.50"),
        ("$A", "$A"),
        ("${TRICK}", "${A} $$ file:secret"),
        ("file:secret", "s3cret"),
        ("file:${NONE:-secret}", "s3cret"),
        ("a file:secret", "a file:secret"),
    ],
)
def test_a_text_is_expanded_once(substitution: Substitution, text: str, expanded: str) -> None:
    """What a variable holds is never expanded again."""
    assert substitution.expand(text) == expanded


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${NONE}", "variable NONE is not set"),
        ("${EMPTY}", "variable EMPTY is empty"),
        ("${A", "must be followed by"),
        ("${1}", "must be followed by"),
        ("${A:?x}", "must be followed by"),
        ("file:none", 'cannot read the file "none": No such file or directory'),
        ("file:", 'cannot read the file "": Is a directory'),
        ("file:a\0b", "no file name"),
        ("file:binary", '"binary" is not in UTF-8'),
    ],
)
def test_what_cannot_be_expanded_is_told(substitution: Substitution, text: str, said: str) -> None:
    """With the name of the variable or the file, never with what it holds."""
    with pytest.raises(ValueError, match=said):
        substitution.expand(text)


@pytest.mark.parametrize(
    ("text", "is_"), [("x", False), ("$1", False), ("${A}", True), ("$$", True)]
)
def test_it_is_known_which_texts_stand_for_others(text: str, is_: bool) -> None:
    """Only those may become numbers."""
    assert is_substituted(text) is is_
