"""Taking the first items of a list that fit into a number of bytes."""

from __future__ import annotations

import pytest

from askback_server.domain.sizes import fit_bytes


@pytest.mark.parametrize(
    ("items", "room", "at_least", "fitting"),
    [
        ([], 10, 0, []),
        ([4, 6], 10, 0, [4, 6]),
        ([4, 7, 1], 10, 0, [4]),  # a later item that would fit is not taken: the order is a page's order
        ([11, 1], 10, 0, []),
        ([11, 1], 10, 1, [11]),
        ([11, 1, 1], 10, 2, [11, 1]),
        ([0, 0], 0, 0, [0, 0]),
    ],
)
def test_only_the_first_items_that_fit_are_taken(
    items: list[int], room: int, at_least: int, fitting: list[int]
) -> None:
    assert fit_bytes(items, lambda size: size, room, at_least=at_least) == fitting
