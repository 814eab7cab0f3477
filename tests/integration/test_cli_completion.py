"""Completion of job ids asks the server with a short timeout and never prints an error."""

import asyncio

from askback.v1 import job_service_pb2 as jobs
from tests.support.processes import quiet_port
from tests.support.requests import audience, confirm
from tests.support.service import ServiceWorld
from tests.support.shell import ASKBACK, Shell


async def _list_candidates(shell: Shell, words: str) -> str:
    """The candidates that bash lists when Tab is pressed again."""
    done = await shell.ok(
        _ASKBACK_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")), COMP_TYPE="63"
    )
    return done.out.strip("\n")


async def _complete(shell: Shell, words: str, kind: str = "zsh") -> list[list[str]]:
    """The candidates and their help."""
    done = await shell.ok(
        _ASKBACK_COMPLETE=f"{kind}_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
    )
    assert done.err == ""
    lines = done.out.strip("\n").splitlines()  # no candidates give an empty line
    return [lines[i + 1 : i + 3] for i in range(0, len(lines), 3)]


async def test_completed_job_ids_show_type_and_state(lite: ServiceWorld, shell: Shell) -> None:
    """Newest first; only jobs that the command can work on and whose id matches the typed text."""
    first = await lite.create("refund")
    second = await lite.create("import")
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=second.job_id))
    ids = {first.job_id: "refund pending", second.job_id: "import cancelled"}
    assert await _complete(shell, "askback job show ") == [[i[-6:], ids[i]] for i in reversed(ids)]
    assert await _complete(shell, "askback explain ") == [[i[-6:], ids[i]] for i in reversed(ids)]
    assert await _complete(shell, "askback job cancel ") == [[first.job_id[-6:], ids[first.job_id]]]
    assert await _complete(shell, "askback job retry ") == [[second.job_id[-6:], ids[second.job_id]]]
    assert await _complete(shell, f"askback job show {first.job_id[-6:-1]}") == [
        [first.job_id[-6:], ids[first.job_id]]
    ]
    assert await _complete(shell, f"askback job show {first.job_id[:-1]}") == [
        [first.job_id, ids[first.job_id]]
    ]
    assert await _complete(shell, "askback job show x") == []


async def test_completion_heeds_the_typed_connection_options(lite: ServiceWorld, shell: Shell) -> None:
    job = await lite.create("refund")
    elsewhere = f"127.0.0.1:{quiet_port()}"
    assert await _complete(shell, f"askback job show --server {elsewhere} ") == []
    typed = f"askback job show --server 127.0.0.1:{lite.service.port} "
    done = await shell.ok(
        ASKBACK_SERVER=elsewhere,
        _ASKBACK_COMPLETE="bash_complete",
        COMP_WORDS=typed,
        COMP_CWORD=str(typed.count(" ")),
    )
    assert done.out == f"plain,{job.job_id[-6:]}\n"


async def test_completion_is_empty_without_a_profile_or_server(shell: Shell) -> None:
    assert await _complete(shell, f"askback job show --server 127.0.0.1:{quiet_port()} ") == []
    assert await _complete(shell, "askback job show --profile nowhere ") == []
    assert await _complete(shell, "askback job show --ca nowhere ") == []


async def test_completed_option_values_have_descriptions(lite: ServiceWorld, shell: Shell) -> None:
    """Existing kinds, types, labels, owners, groups and namespaces, the most frequent first."""
    content = confirm(kind="triage", labels={"team": "core"}, audience=audience(groups=["ops"]))
    await lite.create("refund", prompt=content)
    await lite.create("refund", labels={"set": "odd"})
    await lite.create("import", labels={"set": "long"})
    of_jobs = "of the newest 100 jobs"
    found = await _complete(shell, "askback inbox ls --group ops --kind ")
    assert ["confirm", "yes or no"] in found
    assert ["clarify", "values, or an answer in words"] in found
    assert ["triage", "1 open"] in found
    assert await _complete(shell, "askback ask T --kind pre") == [["preview", "texts to approve or edit"]]
    assert await _complete(shell, "askback job start ") == [
        ["refund", f"2 {of_jobs}"],
        ["import", f"1 {of_jobs}"],
    ]
    assert await _complete(shell, "askback job ls --type i") == [["import", f"1 {of_jobs}"]]
    assert await _complete(shell, "askback inbox ls --group ops --type ") == [["refund", "1 open"]]
    assert await _complete(shell, "askback job ls --label set=o") == [["set=odd", f"1 {of_jobs}"]]
    assert await _complete(shell, "askback inbox ls --group ops --label ") == [["team=core", "1 open"]]
    assert await _complete(shell, "askback inbox ls --group ops --for-group ") == [["ops", "1 open"]]
    assert await _complete(shell, "askback job ls --namespace ") == [["default", "the default"]]
    assert await _list_candidates(shell, "askback job start ") == (
        f"plain,refund  2 {of_jobs}\nplain,import  1 {of_jobs}"
    )
    assert await _list_candidates(shell, "askback job start i") == "plain,import"


async def test_bash_completion_lists_titles_and_inserts_ids(lite: ServiceWorld, shell: Shell) -> None:
    """Runs the script in bash: descriptions with blanks, commas and wildcards stay in one candidate."""
    for title in ("Deploy now, or later?", "All of [a*]?"):
        await lite.create(prompt=confirm(title))
    script = (await shell.ok("completion", "bash")).out
    bash = f"""
        shopt -s nullglob  # a pattern that is not quoted would be gone
        {script}
        COMP_WORDS=(askback inbox show ""); COMP_CWORD=3
        for COMP_TYPE in 63 9; do
            COMPREPLY=(); _askback_completion {ASKBACK}; printf '%s\\n' "${{COMPREPLY[@]}}"
        done
    """
    process = await asyncio.create_subprocess_exec(
        "bash", "--norc", "-c", bash, env=shell.environment, cwd=shell.home, stdout=asyncio.subprocess.PIPE
    )
    out = (await process.communicate())[0].decode()
    listed, bare = out.splitlines()[:2], out.splitlines()[2:]
    assert [line[6:] for line in listed] == ["  [confirm] Deploy now, or later?", "  [confirm] All of [a*]?"]
    assert bare == [line[:6] for line in listed]


async def test_fish_completion_splits_at_the_first_comma_only(shell: Shell) -> None:
    script = (await shell.ok("completion", "fish")).out
    assert 'string split -m 1 "," $completion' in script
    done = await shell.ok(_ASKBACK_COMPLETE="fish_complete", COMP_WORDS="askback inbox ", COMP_CWORD="")
    assert "plain,show\tShow a prompt and its answers." in done.out
