"""The page of the metrics, from the server's catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from askback._metrics.metric import Metric
from askback.web import catalogue as web
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
    yield from _table(CATALOGUE)
    yield "## The gateway"
    yield ""
    yield (
        "`askback web --metrics-listen HOST:PORT` exposes these, and `askback serve --web` has them "
        "beside its own."
    )
    yield ""
    yield from _table(web.CATALOGUE)


def _table(catalogue: Sequence[Metric]) -> Iterator[str]:
    return table(
        ["metric", "kind", "labels", "across", "meaning"],
        [
            (f"`{m.exposed}`", m.kind, ", ".join(f"`{name}`" for name in m.labels), m.across, m.help)
            for m in catalogue
        ],
    )
