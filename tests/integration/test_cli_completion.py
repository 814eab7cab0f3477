"""Completion of job ids asks the server, briefly, and never fails aloud."""

from askback.v1 import job_service_pb2 as jobs
from tests.support.processes import quiet_port
from tests.support.service import World
from tests.support.shell import Shell


async def _completed(shell: Shell, words: str, kind: str = "zsh") -> list[list[str]]:
    """Values and their help."""
    done = await shell.ok(
        _ASKBACK_COMPLETE=f"{kind}_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
    )
    assert done.err == ""
    lines = done.out.strip("\n").splitlines()  # nothing found is an empty line
    return [lines[i + 1 : i + 3] for i in range(0, len(lines), 3)]


async def test_ids_come_with_type_and_state(lite: World, shell: Shell) -> None:
    """Newest first; only those that the command can work on, and that begin like that."""
    first = await lite.create("refund")
    second = await lite.create("import")
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=second.job_id))
    ids = {first.job_id: "refund pending", second.job_id: "import cancelled"}
    assert await _completed(shell, "askback job show ") == [[i[-6:], ids[i]] for i in reversed(ids)]
    assert await _completed(shell, "askback explain ") == [[i[-6:], ids[i]] for i in reversed(ids)]
    assert await _completed(shell, "askback job cancel ") == [[first.job_id[-6:], ids[first.job_id]]]
    assert await _completed(shell, "askback job retry ") == [[second.job_id[-6:], ids[second.job_id]]]
    assert await _completed(shell, f"askback job show {first.job_id[-6:-1]}") == [
        [first.job_id[-6:], ids[first.job_id]]
    ]
    assert await _completed(shell, f"askback job show {first.job_id[:-1]}") == [
        [first.job_id, ids[first.job_id]]
    ]
    assert await _completed(shell, "askback job show x") == []


async def test_the_options_that_were_typed_are_heeded(lite: World, shell: Shell) -> None:
    job = await lite.create("refund")
    elsewhere = f"127.0.0.1:{quiet_port()}"
    assert await _completed(shell, f"askback job show --server {elsewhere} ") == []
    typed = f"askback job show --server 127.0.0.1:{lite.service.port} "
    done = await shell.ok(
        ASKBACK_SERVER=elsewhere, _ASKBACK_COMPLETE="bash_complete", COMP_WORDS=typed,
        COMP_CWORD=str(typed.count(" ")),
    )  # fmt: skip
    assert done.out == f"plain,{job.job_id[-6:]}\n"


async def test_a_wrong_profile_or_no_server_gives_nothing(shell: Shell) -> None:
    assert await _completed(shell, f"askback job show --server 127.0.0.1:{quiet_port()} ") == []
    assert await _completed(shell, "askback job show --profile nowhere ") == []
    assert await _completed(shell, "askback job show --ca nowhere ") == []
