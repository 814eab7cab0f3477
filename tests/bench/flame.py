"""A flame graph as SVG: a frame's width is its share, its colour the bucket of the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from tests.bench.buckets import BUCKETS, Stack, bucket_of, by_bucket, short

WIDTH, ROW, TOP = 1200, 17, 66
LEAST = 0.003
"""Share below which a frame is left out."""
CHARACTER = 6.6
"""Pixels of a character."""
COLOURS = {
    "rules": "#e4a33f",
    "conversion": "#c8d34a",
    "engine": "#e07a5f",
    "storage": "#6fa8dc",
    "streams": "#9a86d1",
    "gRPC": "#b8b8b8",
}


@dataclass
class _Node:
    name: str
    bucket: str = "gRPC"
    weight: float = 0.0
    below: dict[str, _Node] = field(default_factory=dict)


def svg(title: str, unit: str, weights: Mapping[Stack, float]) -> str:
    """The graph of what each stack used, in `unit` a trip. Hover over a frame to read it."""
    root = _tree(weights)
    rows = 1 + _depth(root, root.weight)
    height = TOP + rows * ROW + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-size="11" '
        'font-family="ui-monospace, Menlo, Consolas, monospace">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="20" font-size="15">{escape(title)}</text>',
    ]
    for at, (bucket, weight) in enumerate(by_bucket(weights).items()):
        x = 8 + at * (WIDTH - 16) // len(BUCKETS)
        label = f"{bucket} {weight:.0f} {unit}, {100 * weight / root.weight:.0f} %"
        parts.append(f'<rect x="{x}" y="34" width="12" height="12" fill="{COLOURS[bucket]}"/>')
        parts.append(f'<text x="{x + 18}" y="44">{escape(label)}</text>')
    _draw(root, 0.0, 0, root.weight, unit, parts)
    return "\n".join([*parts, "</svg>", ""])


def _tree(weights: Mapping[Stack, float]) -> _Node:
    root = _Node("all")
    for stack, weight in weights.items():
        node = root
        node.weight += weight
        for at, frame in enumerate(stack, 1):
            # Lines of one function are one frame.
            name = short(frame).rpartition(":")[0] + ")" if ":" in frame else frame
            bucket = bucket_of(stack[:at])
            node = node.below.setdefault(f"{name} {bucket}", _Node(name, bucket))
            node.weight += weight
    return root


def _depth(node: _Node, whole: float) -> int:
    shown = [below for below in node.below.values() if below.weight >= LEAST * whole]
    return 1 + max((_depth(below, whole) for below in shown), default=0)


def _draw(node: _Node, x: float, row: int, whole: float, unit: str, parts: list[str]) -> None:
    width = WIDTH * node.weight / whole
    y = TOP + row * ROW
    text = f"{node.name}: {node.weight:.1f} {unit} a trip, {100 * node.weight / whole:.1f} %"
    parts.append(
        f'<g><title>{escape(text)}</title><rect x="{x:.1f}" y="{y}" width="{max(0.5, width - 0.5):.1f}" '
        f'height="{ROW - 1}" rx="2" fill="{COLOURS[node.bucket]}"/>'
    )
    fits = int((width - 6) / CHARACTER)
    if fits >= 4:
        shown = node.name if len(node.name) <= fits else f"{node.name[: fits - 1]}…"
        parts.append(f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(shown)}</text>')
    parts.append("</g>")
    for below in sorted(node.below.values(), key=lambda n: -n.weight):
        if below.weight >= LEAST * whole:
            _draw(below, x, row + 1, whole, unit, parts)
        x += WIDTH * below.weight / whole
