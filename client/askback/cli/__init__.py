"""The command line: `askback`.

The table here has the name and the help of each subcommand, whose module is imported when it runs: `--help`
and completion import neither grpc nor pydantic nor rich. For the same reason a module of this package
imports at its top only click and cheap parts of the standard library; a command imports the rest in its
body.

    lazy        the group that imports a command when it runs
    connection  the server and the caller: options, environment, profile file
    output      what is printed: text for people, `--json` for programs
    exits       exit codes, and the code for each error
    context     `client_command`: makes an async function a command that talks to a server
"""

from __future__ import annotations

import click

from askback.cli.lazy import Program

COMMANDS = {
    "ask": ("askback.cli.ask:ask", "Ask people without a worker: exit 0 for yes, 5 for no, 6 for no answer."),
    "job": ("askback.cli.job:job", "Start, follow and steer jobs."),
    "inbox": ("askback.cli.inbox:inbox", "List and answer the prompts that wait for you."),
    "console": (
        "askback.cli.console:console",
        "A live console: prompts appear as they come, and commands are lines (`help` lists them).",
    ),
    "tui": (
        "askback.cli.tui:tui",
        "A console on the full screen: the queue, the selected prompt, and questions below them.",
    ),
    "explain": ("askback.cli.explain:explain", "Say what a job waits for, and the command that unblocks it."),
    "overview": (
        "askback.cli.overview:overview",
        "Say what waits by age and kind, who is connected, and what happened lately.",
    ),
    "whoami": (
        "askback.cli.whoami:whoami",
        "Say who the server takes you for: name, namespaces, roles, groups, expiry.",
    ),
    "people": (
        "askback.cli.people:people",
        "List and change the people that a namespace knows.",
    ),
    "absence": (
        "askback.cli.absence:absence",
        "Say when you are away, and who answers in your place.",
    ),
    "rules": (
        "askback.cli.rules:rules",
        "Write rules that answer, refuse or route questions when they are asked.",
    ),
    "web": ("askback.cli.web:web", "Serve the web page for a service, to people with browsers."),
    "serve": ("askback.cli.service:serve", "Run the service."),
    "migrate": ("askback.cli.service:migrate", "Bring the database to this version's schema."),
    "token": ("askback.cli.token:token", "Add, list and revoke the tokens of a server."),
    "audit": ("askback.cli.audit:audit", "Verify what a database has recorded."),
    "receipt": (
        "askback.cli.receipt:receipt",
        "Get and verify receipts: signed statements of who decided what.",
    ),
    "hash-token": ("askback.cli.service:hash_token", "Print the hash of a token, as a token file wants it."),
    "health": (
        "askback.cli.service:health",
        "Ask a server whether it is ready; exit 0 if it is, 1 if not, 7 if it cannot be reached.",
    ),
    "doctor": (
        "askback.cli.doctor:doctor",
        "Look for what is wrong with an installation, and say what to do.",
    ),
    "demo": (
        "askback.cli.service:demo",
        "Play an example from question to result, with the server killed in between.",
    ),
    "completion": ("askback.cli.completion:completion", "Print the shell's completion script."),
}

EXIT_CODES = """\b
Exit codes:
  0  done; yes                    5  no; the job failed or was cancelled
  1  unexpected error             6  no answer in time
  2  wrong usage or input         7  the server cannot be reached
  3  not found                    8  not authenticated or not permitted
  4  conflict; already answered   130  interrupted"""


@click.group(
    cls=Program,
    lazy=COMMANDS,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(
    package_name="askback", message="askback %(version)s (client and server are one package)"
)
def main() -> None:
    """Jobs that may stop and ask people."""
