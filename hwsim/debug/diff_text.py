"""Text form of a comparison: the table of layers, the first difference, and the command that explains it."""

from __future__ import annotations

from hwsim.debug.comparison import Comparison
from hwsim.debug.diff import LayerDifference
from hwsim.debug.events import ArithmeticEvents
from hwsim.debug.tables import Cell, format_index, format_table

EVENTS = ("ties", "clip low", "clip high", "overflows")


def diff_text(comparison: Comparison) -> str:
    """Return a comparison of two runs as text."""
    difference = comparison.difference
    parts = [f"A {comparison.a.path}\nB {comparison.b.path}", _table(comparison)]
    skipped = [
        f"skipped, only in {side}: {', '.join(names)}"
        for side, names in (("A", difference.skipped_a), ("B", difference.skipped_b))
        if names
    ]
    if skipped:
        parts.append("\n".join(skipped))
    parts.append(_verdict(comparison))
    return "\n\n".join(parts)


def _table(comparison: Comparison) -> str:
    counted = {side: found for side, found in (("A", comparison.a.events), ("B", comparison.b.events)) if found}
    header = ["layer", "outputs", "mismatches", "largest", "first", *(f"{s} {e}" for s in counted for e in EVENTS)]
    rows = [
        [*_cells(layer), *(cell for found in counted.values() for cell in _events(found.get(layer.layer)))]
        for layer in comparison.difference.layers
    ]
    return format_table(header, rows, indent="")


def _cells(layer: LayerDifference) -> list[Cell]:
    first = None if layer.first is None else f"{layer.first[0]}: {format_index(layer.first[1:])}"
    return [layer.layer, layer.outputs, layer.mismatches, layer.largest if layer.mismatches else None, first]


def _events(found: ArithmeticEvents | None) -> list[Cell]:
    return [None] * len(EVENTS) if found is None else [found.ties, found.clips_low, found.clips_high, found.overflows]


def _verdict(comparison: Comparison) -> str:
    first = comparison.difference.first
    if first is None or first.first is None or first.values is None:
        return "equal: no code differs"
    place = f"sample {first.first[0]}" + (f" at {format_index(first.first[1:])}" if first.first[1:] else "")
    lines = [f"first difference: layer {first.layer}, {place}: A {first.values[0]:,}, B {first.values[1]:,}"]
    return "\n".join([*lines, *(f"  explain it: {command}" for command in comparison.commands())])
