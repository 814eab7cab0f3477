"""The calls that the state machine makes, drawn for the state of the reference model."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.model.reference import Reference
from tests.model.rights import right_of
from tests.model.state import ENDED

Call = tuple[str, dict[str, Any]]
JOBS = ("r1", "r2")
KEYS = ("a", "bb", "c", "dd", "e")
PEOPLE = ("ann", "bob", "cid", "dan")
NAMES = ((), ("ann",), ("ann",), ("bob",), ("ann", "bob"), ("bob", "cid"), ("ann", "cid", "dan"))
"""The people that questions name, if people are away."""


def draw_replica(rng: Random) -> int:
    return int(rng.choice([0, 1]))


def draw_creation(rng: Random, model: Reference) -> Call:
    missing = [n for n in JOBS if n not in model.jobs]
    ask = draw_content(rng, model) if rng.choice([False, False, False, True]) else None
    attempts, priority = rng.randint(1, 3), rng.randint(0, 1)
    return "create", {"job": (missing or JOBS)[0], "ask": ask, "attempts": attempts, "priority": priority}


def draw_content(rng: Random, model: Reference) -> dict[str, Any]:
    final = rng.choice(["EXPIRE", "EXPIRE", "DEFAULT", "FAIL_JOB"])
    timeout = rng.choice([5.0, 10.0, *([0.0] * 2 if final == "EXPIRE" else [])])
    title = rng.choice(["Is it right?", "Is it good?"])
    blocking, law = rng.choice([(True, False), (True, False), (False, False), (True, True)])
    needs = rng.choice([*[None] * 4, (2, 1, 0), (2, 2, 0), (3, 1, 0), (2, 1, 1), (2, 2, 1), (3, 2, 2)])
    names: tuple[str, ...] = ()
    nots: list[tuple[str, ...]] = [(), (), (KEYS[0],), KEYS[1:3]]
    if model.has_absences:
        names, nots = rng.choice(NAMES), [(), KEYS[:1], KEYS[:2], KEYS[1:3]]
    return {
        "title": title,
        "names": names,
        "blocking": blocking,
        "timeout": timeout,
        "final": final,
        "to": "law" if law else "",
        "needs": needs,
        "priority": 0,
        "env": rng.choice(["", "prod"]),
        "tool": rng.choice(["ls", "ls", "ls", "rm", None, None]),
        "not_by": rng.choice(nots),
    }


def draw_lease(rng: Random, model: Reference, job: str) -> dict[str, Any]:
    name = rng.choice(["s1", "s2"])
    epoch = model.sessions.get(name, {"epoch": 1})["epoch"]
    return {"job": job, "session": name, "epoch": epoch, "who": "wanda" if name == "s1" else "wim"}


def draw_call(rng: Random, model: Reference) -> Call:
    """Draw a call, usually one that is valid in the job's state."""
    job = rng.choice([*([*model.jobs] * 4), "new"])
    if job == "new":
        return draw_creation(rng, model)
    j = model.jobs[job]
    kinds = [draw_user_call] * 3 if j["prompts"] else []
    kinds += [draw_client_call] * (2 if j["state"] in ENDED else 1)
    if j["session"] is not None:
        kinds += [draw_holder_call] * 6
    elif j["state"] == "PENDING":
        kinds += [lambda rng, model, job: ("lease", draw_lease(rng, model, job))] * 4
    made: Call = rng.choice(kinds)(rng, model, job)
    return made


def draw_client_call(rng: Random, model: Reference, job: str) -> Call:
    verb = rng.choice(["update", "update", "cancel", "delete", "withdraw"])
    if verb == "withdraw":
        keys = [*model.jobs[job]["prompts"], "nothing"]
        return verb, {"job": job, "key": rng.choice(keys)}
    priority = {"priority": rng.randint(0, 3)} if verb == "update" else {}
    return verb, {"job": job, **priority}


def draw_ask(rng: Random, model: Reference) -> Call:
    """Draw a call that asks, or one that lets a job ask soon."""
    jobs = model.jobs
    held = [name for name, j in jobs.items() if j["session"] is not None and model.alive(j["session"])]
    ready = [name for name, j in jobs.items() if j["state"] == "PENDING" and j["ready"] <= model.now]
    ended = [name for name, j in jobs.items() if j["state"] in ENDED]
    if held and rng.random() < 0.8:
        return draw_holder_call(rng, model, rng.choice(held), asks=True)
    if ready and any(map(model.alive, model.sessions)):
        return "lease", draw_lease(rng, model, rng.choice(ready))
    is_full = jobs.keys() >= set(JOBS)
    if is_full and ended:
        return "delete", {"job": rng.choice(ended)}
    return draw_call(rng, model) if is_full else draw_creation(rng, model)


def draw_reservation(rng: Random, model: Reference) -> Call:
    """Draw a claim, or a delegation by which a person gives its right away, of an open prompt."""
    still = [
        (job, key)
        for job, j in model.jobs.items()
        for key, p in j["prompts"].items()
        if p["state"] == "PENDING" and not j["workerless"]
    ]
    if not still:
        return draw_ask(rng, model)
    authors = [rule.author for rule in model.book.rules.values() if rule.does == "ANSWER"]
    (job, key), who = rng.choice(still), rng.choice([*authors, *PEOPLE[:2]])
    if rng.random() < 0.5:
        return "claim", {"job": job, "key": key, "who": who}
    return "delegate", {"job": job, "key": key, "who": who, "to": rng.choice(PEOPLE[1:]), "moved": True}


def draw_deputy(rng: Random, model: Reference) -> Call:
    """Draw what a person does with an open prompt that names people: mostly one who acts for another."""
    still = [
        (job, key)
        for job, j in model.jobs.items()
        for key, p in j["prompts"].items()
        if p["state"] == "PENDING" and p["ask"]["names"]
    ]
    if not still:
        return draw_ask(rng, model)
    job, key = rng.choice(still)
    p = model.jobs[job]["prompts"][key]
    verb = rng.choice(["answer"] * 5 + ["claim", "claim", "unclaim", "delegate", "delegate"])
    if verb == "answer":
        return draw_answer(rng, model, job, key)
    who = rng.choice([*(d["to"] for d in p["given"]), *p["ask"]["names"]])
    if verb == "delegate":
        return verb, {
            "job": job,
            "key": key,
            "who": who,
            "to": rng.choice(PEOPLE),
            "moved": rng.random() < 0.3,
        }
    return verb, {"job": job, "key": key, "who": who}


def draw_holder_call(rng: Random, model: Reference, job: str, *, asks: bool = False) -> Call:
    j = model.jobs[job]
    epoch = model.sessions.get(j["session"], {"epoch": 1})["epoch"]
    mistake = rng.choice([""] * 8 + ["token", "who", "epoch"]) if not asks else ""
    who = {"wanda": "wim", "wim": "wanda"}[j["holder"]] if mistake == "who" else j["holder"]
    held = {
        "job": job,
        "who": who,
        "token": j["token"] - (mistake == "token"),
        "epoch": rng.choice([0, epoch]) if mistake != "epoch" else max(1, epoch - 1),
    }
    verbs = ["ask", "ask", "ask", "receive", "progress", "step", "complete", "fail", "release"]
    verb = rng.choice(verbs) if not asks else "ask"
    keys = [*j["prompts"]]
    if verb == "ask":
        new = KEYS[len(keys) % len(KEYS)]
        still = [k for k in keys if asks and j["prompts"][k]["state"] == "PENDING"]
        key = rng.choice([new, new, *keys, *still])
        same = key in keys and rng.random() < (0.2 if asks else 0.5)
        ask = j["prompts"][key][rng.choice(["asked", "asked", "ask"])] if same else draw_content(rng, model)
        if asks and not same and key in keys and rng.random() < 0.7:
            titles = {"Is it right?": "Is it good?", "Is it good?": "Is it right?"}
            ask["title"] = titles[j["prompts"][key]["ask"]["title"]]
        ask = {**ask, "not_by": tuple(other for other in ask["not_by"] if other != key)}
        instead = rng.choice([(), (), *((k,) for k in keys if k != key)])
        return verb, {**held, "key": key, "ask": ask, "instead": instead}
    more: dict[str, Any] = {
        "receive": {"key": rng.choice(keys or ["none"])},
        "progress": {"done": rng.randint(1, 9)},
        "step": {"key": rng.choice("kl"), "value": rng.choice("12")},
        "complete": {"result": '{"n": 9007199254740993}'},
        "fail": {"again": rng.choice([True, True, False])},
    }.get(verb, {})
    return verb, {**held, **more}


def draw_user_call(rng: Random, model: Reference, job: str) -> Call:
    prompts = model.jobs[job]["prompts"]
    still = [k for k, p in prompts.items() if p["state"] == "PENDING"]
    key = rng.choice([*still, *still, *prompts])
    verb = rng.choice(
        ["answer"] * 8 + ["claim", "unclaim", "unvote", "override", "delegate", "delegate", "take_back"]
    )
    if verb in ("delegate", "take_back"):
        return draw_delegation(rng, verb, job, key, prompts[key])
    if verb == "answer":
        return draw_answer(rng, model, job, key)
    if verb == "override":
        p = prompts[key]
        revision = max(1, p["revision"] + rng.choice([0, 0, 0, 1, -1]))
        decision = rng.choice(["ACCEPT", "REJECT"])
        return verb, {
            "job": job,
            "key": key,
            "id": rng.choice("xo"),
            "revision": revision,
            "decision": decision,
        }
    if verb == "unvote":
        votes = [(job, key, who, id) for key, p in prompts.items() for who, id, *_ in p["votes"]]
        if votes and rng.random() < 0.8:
            return verb, dict(zip(("job", "key", "who", "id"), rng.choice(votes), strict=True))
        return verb, {"job": job, "key": key, "who": rng.choice(["ann", "bob"]), "id": rng.choice("xyz")}
    return verb, {"job": job, "key": key, "who": rng.choice(["ann", "bob"])}


def draw_delegation(rng: Random, verb: str, job: str, key: str, p: dict[str, Any]) -> Call:
    who, to = rng.choice(PEOPLE), rng.choice(PEOPLE)
    if verb == "delegate":
        able = [each for each in PEOPLE if right_of(p, each) is not None] or [who]
        who = rng.choice([*able, who])
        return verb, {"job": job, "key": key, "who": who, "to": to, "moved": rng.random() < 0.5}
    if p["given"] and rng.random() < 0.8:
        d = rng.choice(p["given"])
        who, to = rng.choice([(d["giver"], d["to"]), (d["to"], "")])
    return verb, {"job": job, "key": key, "who": who, "to": to}


def draw_answer(rng: Random, model: Reference, job: str, key: str) -> Call:
    p = model.jobs[job]["prompts"][key]
    known = [i for i, (said, _) in p["answers"].items() if said[0] != "root" and not i.startswith("rule:")]
    if known and rng.random() < 0.5:
        id = rng.choice(known)
        (who, revision, decision, why), _ = p["answers"][id]
    else:
        id, who = rng.choice("xyz"), rng.choice(["ann", "ann", "bob", "cid", "dan"])
        stand_ins = [d["to"] for d in p["given"] if d["away"]]
        if stand_ins and rng.random() < 0.5:
            who = rng.choice(stand_ins)
        revision = max(1, p["revision"] + rng.choice([0, 0, 0, 0, 1, -1]))
        choices = [
            ("ACCEPT", ""),
            ("ACCEPT", ""),
            ("REVISE", "so"),
            ("REVISE", ""),
            ("EDIT", ""),
            ("REJECT", ""),
        ]
        decision, why = rng.choice(choices)
    return "answer", {
        "job": job,
        "key": key,
        "who": who,
        "id": id,
        "revision": revision,
        "decision": decision,
        "why": why,
        "unseen": rng.random() < 0.1,
    }
