"""Counts of open prompts by age class (`AGES`) in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from askback_server.domain.overview import AGES


def younger_counts(asked_at: sa.ColumnElement[Any], now: datetime) -> Sequence[sa.ColumnElement[int]]:
    """For each bound, the number of prompts younger than it."""
    return [
        sa.func.count(sa.case((asked_at > now - timedelta(seconds=age), 1))).label(f"under_{at}")
        for at, age in enumerate(AGES)
    ]


def by_age(row: Any, total: int) -> tuple[int, ...]:
    """The number in each class, from a row with `younger_counts`."""
    under = [row[f"under_{at}"] for at in range(len(AGES))]
    return tuple(upper - lower for lower, upper in zip([0, *under], [*under, total], strict=True))
