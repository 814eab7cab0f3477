"""Handles: the shortest unique end of an id."""

import pytest

from askback._text.handle import completions, handles, is_handle, is_id

A = "01a22406-1111-7111-8111-00001abcdef0"
B = "01a22406-1111-7111-8111-00002abcdef0"
C = "01a22406-1111-7111-8111-0000ffffffff"


def test_handles_are_longer_where_six_characters_are_not_unique() -> None:
    assert handles([A, C]) == {A: "bcdef0", C: "ffffff"}
    assert handles([A, B, C]) == {A: "1abcdef0", B: "2abcdef0", C: "ffffff"}
    assert handles([A, A]) == {A: "bcdef0"}
    assert handles([]) == {}
    assert handles(["x", "p-1"]) == {"x": "x", "p-1": "p-1"}


@pytest.mark.parametrize(
    ("text", "handle", "whole"),
    [
        ("abcdef", True, False),
        ("abcde", False, False),
        ("ABCDEF", False, False),
        ("ghijkl", False, False),
        (A, False, True),
        (A[1:], True, False),
        ("", False, False),
    ],
)
def test_handles_and_ids_are_recognised(text: str, handle: bool, whole: bool) -> None:
    assert (is_handle(text), is_id(text)) == (handle, whole)


def test_a_shell_completes_a_handle_or_the_whole_id() -> None:
    assert completions([A, B, C], "") == {A: "1abcdef0", B: "2abcdef0", C: "ffffff"}
    assert completions([A, B, C], "ff") == {C: "ffffff"}
    assert completions([A, B], "01a2") == {A: A, B: B}
    assert completions([A], "x") == {}
