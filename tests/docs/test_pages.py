"""The code blocks of every page of the documentation run, from top to bottom."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks_of, pages
from tests.docs.playing import Playing

MAX_LEFT_OUT = 3
"""The number of blocks, of all pages together, that may be marked `norun`."""
PAGES = [page.relative_to(ROOT).as_posix() for page in pages()]


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", PAGES)
async def test_the_blocks_of_a_page_run(page: str, playing: Playing) -> None:
    """Commands succeed and print what the page shows. An example's page runs in a copy of its folder."""
    if page.startswith("examples/"):
        shutil.copytree(Path(ROOT, page).parent, playing.folder, dirs_exist_ok=True)
    await playing.play(blocks_of(page, Path(ROOT, page).read_text(encoding="utf-8")))
    for left in playing.left_out:
        warnings.warn(f"not run: {left}", stacklevel=1)


def test_few_blocks_are_exempt_from_running() -> None:
    blocks = [block for page in pages() for block in blocks_of(str(page), page.read_text(encoding="utf-8"))]
    assert len([block for block in blocks if "norun" in block.attributes]) <= MAX_LEFT_OUT
    assert len(blocks) > 40
