"""LangGraph in this process: a graph with a checkpointer, `interrupt` and `Command(resume=...)`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from peers.peer import (
    QUESTIONS,
    PeerOfJobs,
    Question,
    Settings,
    WrongReply,
    answer_to,
    check_answer,
    question_of,
)

CONNECTIONS = 16


class State(TypedDict):
    """The state of a thread: its job, and how many questions have been answered."""

    job_id: str
    answered: int


class System(PeerOfJobs):
    """LangGraph, on the database of the settings; without one on a new SQLite file.

    A question is a return value of the graph, and its answer an argument: no message is passed. There is
    no server, and nothing continues a thread but the caller.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._stack = AsyncExitStack()
        self._asking: Any = None
        self._working: Any = None

    async def start(self) -> None:
        """Create the tables and the threads that ask."""
        saver = await self._open_saver()
        await saver.setup()
        asking = StateGraph(State)
        asking.add_node("ask", _ask)
        asking.add_edge(START, "ask")
        asking.add_conditional_edges("ask", _next_node, ["ask", END])
        self._asking = asking.compile(checkpointer=saver)
        working = StateGraph(State)
        working.add_node("work", _work)
        working.add_edge(START, "work")
        working.add_edge("work", END)
        self._working = working.compile(checkpointer=saver)
        await self.open_jobs()

    async def _open_saver(self) -> Any:
        database = self.settings.database
        if not database:
            path = str(self.settings.folder / "checkpoints.db")
            return await self._stack.enter_async_context(AsyncSqliteSaver.from_conn_string(path))
        # What `AsyncPostgresSaver.from_conn_string` sets for its single connection.
        options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        pool: Any = AsyncConnectionPool(database, min_size=CONNECTIONS, kwargs=options, open=False)
        return AsyncPostgresSaver(await self._stack.enter_async_context(pool))

    async def stop(self) -> None:
        """Close the database."""
        await self._stack.aclose()

    async def begin(self, job_id: str) -> None:
        """Run a new thread up to its first question."""
        await self._run(job_id, {"job_id": job_id, "answered": 0})

    async def answer(self, job_id: str, question: Question) -> None:
        """Run a thread from its answer up to its next question."""
        await self._run(job_id, Command(resume=answer_to(question)))

    async def _run(self, job_id: str, given: Any) -> None:
        config = {"configurable": {"thread_id": job_id}}
        found = await self._asking.ainvoke(given, config, durability="sync")
        interrupts = found.get("__interrupt__")
        self.show(job_id, interrupts[0].value if interrupts else None)

    async def job(self, lane: int) -> None:
        """Run a graph of one node that only returns, in a new thread."""
        job_id = self.new_id()
        config = {"configurable": {"thread_id": job_id}}
        given = {"job_id": job_id, "answered": lane}
        found = await self._working.ainvoke(given, config, durability="sync")
        if found["answered"] != lane + 1:
            raise WrongReply("a job has another result")


async def _ask(state: State) -> dict[str, int]:
    number = state["answered"]
    answer = interrupt(question_of(state["job_id"], number))
    check_answer(answer, state["job_id"], number)
    return {"answered": number + 1}


def _next_node(state: State) -> str:
    return "ask" if state["answered"] < QUESTIONS else END


async def _work(state: State) -> dict[str, int]:
    return {"answered": state["answered"] + 1}
