"""The page of the metrics, from the server's catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from askback_server.metrics.catalogue import CATALOGUE
from scripts.reference.tables import table


def lines() -> Iterator[str]:
    """The lines of the page."""
    yield "# Metrics"
    yield ""
    yield (
        "With `--metrics-listen HOST:PORT` a replica answers Prometheus there. *Across* says how the numbers "
        "of several replicas go together: `sum`, because each tells of itself; `max`, because each tells the "
        "same of the whole database; `each`, because together they mean nothing."
    )
    yield ""
    yield from table(
        ["metric", "kind", "labels", "across", "meaning"],
        [
            (f"`{m.exposed}`", m.kind, ", ".join(f"`{name}`" for name in m.labels), m.across, m.help)
            for m in CATALOGUE
        ],
    )
