"""Comparison of two runs, layer by layer: number and size of the differences, and the first of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.debug.explanation import Index
from hwsim.errors import BadInput, suggestion
from hwsim.network.layer import INPUT

LayerCodes = Mapping[str, NDArray[np.integer]]


@dataclass(frozen=True)
class LayerDifference:
    """Comparison of one layer.

    Attributes
    ----------
    layer : name of the layer
    outputs : number of codes
    mismatches : number of codes that differ
    largest : largest absolute difference
    first : [sample, *index] of the first code that differs
    values : that code in A and in B
    """

    layer: str
    outputs: int
    mismatches: int
    largest: int
    first: Index | None
    values: tuple[int, int] | None


@dataclass(frozen=True)
class Difference:
    """Comparison of two runs, in the order of the layers; `skipped_a` and `skipped_b` are layers of one run only."""

    layers: tuple[LayerDifference, ...]
    skipped_a: tuple[str, ...] = ()
    skipped_b: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """True where no code differs."""
        return self.first is None

    @property
    def first(self) -> LayerDifference | None:
        """The first layer whose codes differ."""
        return next((layer for layer in self.layers if layer.mismatches), None)


def diff(
    a: LayerCodes, b: LayerCodes, common: bool = False, order: Sequence[str] = (), names: tuple[str, str] = ("A", "B")
) -> Difference:
    """Compare two runs: integer arrays [sample, *shape] by layer name, as `trace` returns them.

    B must contain every layer of A except the input. Layers of B alone are skipped. Raises BadInput for missing
    layers and for unequal shapes.

    Parameters
    ----------
    common : compare only the layers of both runs, without an error for missing layers
    order : order of the layers; the order of A when empty
    names : names of the two runs in errors

    >>> found = diff({"conv": np.array([[1, 2, 3]])}, {"conv": np.array([[1, 3, 1]])})
    >>> found.layers[0].mismatches, found.layers[0].largest, found.layers[0].first, found.layers[0].values
    (2, 2, (0, 1), (2, 3))
    """
    missing = tuple(name for name in a if name not in b)
    for name in missing:
        if name != INPUT and not common:
            raise _missing(name, a, b, names)
    shared = [name for name in dict.fromkeys([*order, *a]) if name in a and name in b]
    if not set(shared) - {INPUT}:
        raise BadInput(
            names[1], f"layers {_layer_names(b)}", f"at least one of the layers of {names[0]}: {_layer_names(a)}"
        )
    layers = tuple(_compare(name, a[name], b[name], names) for name in shared)
    return Difference(layers, missing, tuple(name for name in b if name not in a))


def _compare(layer: str, a: NDArray[np.integer], b: NDArray[np.integer], names: tuple[str, str]) -> LayerDifference:
    if a.shape != b.shape:
        wanted = f"{_sizes(a.shape)} as in {names[0]} (samples first)"
        hint = "Maps are [sample, channel, row, column]." if sorted(a.shape) == sorted(b.shape) else ""
        raise BadInput(f"{names[1]} layer {layer!r}", f"shape {_sizes(b.shape)}", wanted, hint)
    left, right = a.astype(np.int64), b.astype(np.int64)
    different = left != right
    mismatches = int(np.count_nonzero(different))
    if not mismatches:
        return LayerDifference(layer, left.size, 0, 0, None, None)
    # larger - smaller is exact modulo 2^64 for any signs
    distance = np.maximum(left, right).astype(np.uint64) - np.minimum(left, right).astype(np.uint64)
    first = tuple(int(i) for i in np.unravel_index(int(different.argmax()), different.shape))
    values = (int(left[first]), int(right[first]))
    return LayerDifference(layer, left.size, mismatches, int(distance.max()), first, values)


def _missing(name: str, a: LayerCodes, b: LayerCodes, names: tuple[str, str]) -> BadInput:
    near = suggestion("name", name, [other for other in b if other not in a])
    advice = "With --common only the layers of both are compared."
    return BadInput(
        f"{names[1]} layer {name!r}", "no such layer", f"every layer of {names[0]}", f"{near} {advice}".strip()
    )


def _sizes(shape: Index) -> str:
    return ",".join(map(str, shape)) or "of a single number"


def _layer_names(names: LayerCodes) -> str:
    return ", ".join(name for name in names if name != INPUT) or "none"
