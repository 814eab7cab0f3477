"""The player of pages: a wrong block fails, and the message names its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.blocks import BadBlock, blocks_of
from tests.docs.playing import Playing
from tests.docs.shell import matches


def page(*lines: str) -> str:
    return "\n".join(lines) + "\n"


async def play(playing: Playing, *lines: str) -> None:
    await playing.play(blocks_of("page.md", page(*lines)))


async def test_a_page_shares_folder_namespace_and_shell(playing: Playing) -> None:
    await play(
        playing,
        "```sh",
        "name=ana",
        "```",
        "```python",
        "import asyncio",
        "from askback import Client",
        "```",
        "text between",
        "```python",
        "async with Client() as client:",
        '    run = await client.start("nothing")',
        "    job_id = (await run.job()).job_id",
        "open('id', 'w').write(job_id)",
        "```",
        '```python title="hello.py"',
        "import sys",
        "print('hello,', sys.argv[1])",
        "```",
        "```console",
        "$ python hello.py $name",
        "hello, …",
        "$ wc -c <id",
        "36",
        "```",
    )


async def test_blocks_in_comments_run_and_are_not_shown(playing: Playing) -> None:
    with pytest.raises(ZeroDivisionError) as wrong:
        await play(
            playing, "Before.", "", "<!-- hidden", "```python", "x = 1", "1 / 0", "```", "-->", "After."
        )
    assert wrong.value.__notes__ == ["in the python block at page.md:5"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["```python", "assert 1 == 2", "```"], "page.md:2"),
        (["```python", "await asyncio.sleep(0)", "```"], "page.md:2"),
        (["```python", "def", "```"], "page.md:2"),
        (["```sh", "true", "false", "true", "```"], "exit 1"),
        (["```sh", "echo $never_set", "```"], "never_set"),
        (["```sh", "echo said so; exit 0", "```"], "said so"),
        (["```console", "$ echo two", "one", "```"], "expected:\none"),
        (["```console", "$ echo two", "```"], "printed:\ntwo"),
        (["```console", "$ false | true", "```"], "exit 1"),
        (["```console", "no prompt", "```"], "begins with"),
        (['```python title="a.py"', "print()", "```"], "no block runs a.py (page.md:2)"),
        (['```python title="a.py"', "def", "```"], "page.md:2"),
        (['```toml title="tokens.toml"', "[[tokens]]", "```"], "sha256"),
        (['```toml title="tokens.toml"', "[[tokens", "```"], "page.md:2"),
        (["```toml", "a = 1", "```"], "which file"),
        (['```toml title="other.toml"', "a = 1", "```"], "no loader reads other.toml"),
        (["```json", "{,}", "```"], "page.md:2"),
        (["```fortran", "END", "```"], "fortran"),
    ],
)
async def test_a_wrong_block_fails_and_names_its_place(playing: Playing, lines: list[str], says: str) -> None:
    with pytest.raises(Exception) as wrong:  # noqa: PT011
        await play(playing, *lines)
    messages = [str(wrong.value), *getattr(wrong.value, "__notes__", [])]
    assert says in "\n".join(messages)


@pytest.mark.parametrize(
    "lines",
    [
        ["```", "x", "```"],
        ["```sh norun", "```"],
        ['```sh norun=""', "```"],
        ["```sh nurun=1", "```"],
        ["Text.", "", "    indented"],
    ],
)
def test_a_fence_without_language_or_reason_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadBlock, match=r"page\.md:"):
        blocks_of("page.md", page(*lines))


async def test_a_block_that_needs_a_module_runs_where_python_finds_it(playing: Playing) -> None:
    lines = ['```sh needs="module:moon"', "false", "```", '```sh needs="module:json"', "touch there", "```"]
    await play(playing, *lines)
    assert playing.left_out == ["page.md:2: module:moon is not installed"]
    assert (playing.folder / "there").exists()


async def test_blocks_that_do_not_run_are_listed_with_their_reason(
    playing: Playing, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ['```sh norun="it needs a moon"', "false", "```", '```sh needs="moon-rocket"', "false", "```"]
    await play(playing, *lines)
    assert playing.left_out == ["page.md:2: it needs a moon", "page.md:5: moon-rocket is not installed"]
    monkeypatch.setenv("ASKBACK_REQUIRE", "postgres,moon-rocket")
    with pytest.raises(AssertionError, match="not installed"):
        await play(playing, *lines)


async def test_background_jobs_end_with_their_page(playing: Playing) -> None:
    await play(playing, "```sh", "sleep 1000 &", "echo $! >pid", "```")
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path(playing.folder, "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a … c", "a b c", True),
        ("a … c", "a b d", False),
        ("a\n…\nd", "a\nb\nc\nd\n", True),
        ("a\n…\nd", "a\nd\n", True),
        ("a\n…", "b\na\n", False),
        ("a", "a\nb", False),
        ("…\nb", "a\nb\nc\nb", True),
        ("…\nb", "a\nb\nc", False),
        ("a\n…\nb\nc\n…", "a\nb\nx\nb\nc", True),
        ("a\n…\na", "a", False),
        ("", "", True),
        ("a.c", "abc", False),
    ],
)
def test_an_ellipsis_matches_any_text_or_lines(expected: str, printed: str, same: bool) -> None:
    assert matches(expected, printed) is same
