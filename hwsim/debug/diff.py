"""Two runs, layer by layer: how many codes differ, by how much, and which is the first that does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.debug.explanation import Index
from hwsim.errors import BadInput, UnknownName
from hwsim.network.layer import INPUT

Run = Mapping[str, NDArray[np.integer]]


@dataclass(frozen=True)
class LayerDifference:
    """One layer of two runs. `first` is [sample, *index] of the first code that differs, `values` what A and B have."""

    layer: str
    outputs: int
    mismatches: int
    largest: int
    first: Index | None
    values: tuple[int, int] | None


@dataclass(frozen=True)
class Difference:
    """Two runs compared, in the order of the layers; `skipped_a` and `skipped_b` are what only one of them has."""

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
    a: Run, b: Run, common: bool = False, order: Sequence[str] = (), names: tuple[str, str] = ("A", "B")
) -> Difference:
    """Compare two runs: integer arrays [sample, *shape] by layer name, as `trace` gives them.

    B must have every layer of A, unless `common` lets either lack some; what else B has is skipped, and
    the input is no layer that must be there. Layers come in the order of A, or of `order`. `names`
    stand for the runs in errors.

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
        raise BadInput(names[1], f"layers {_words(b)}", f"at least one of the layers of {names[0]}: {_words(a)}")
    layers = tuple(_compare(name, a[name], b[name], names) for name in shared)
    return Difference(layers, missing, tuple(name for name in b if name not in a))


def _compare(layer: str, a: NDArray[np.integer], b: NDArray[np.integer], names: tuple[str, str]) -> LayerDifference:
    if a.shape != b.shape:
        wanted = f"{_sizes(a.shape)} as in {names[0]} (samples first)"
        hint = "Maps are [sample, channel, row, column]." if sorted(a.shape) == sorted(b.shape) else ""
        raise BadInput(f"{names[1]} layer {layer!r}", f"shape {_sizes(b.shape)}", wanted, hint)
    left, right = a.astype(np.int64), b.astype(np.int64)
    wrong = left != right
    mismatches = int(np.count_nonzero(wrong))
    if not mismatches:
        return LayerDifference(layer, left.size, 0, 0, None, None)
    # modulo 2^64 the larger less the smaller is exact, whatever the signs
    distance = np.maximum(left, right).astype(np.uint64) - np.minimum(left, right).astype(np.uint64)
    first = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
    values = (int(left[first]), int(right[first]))
    return LayerDifference(layer, left.size, mismatches, int(distance.max()), first, values)


def _missing(name: str, a: Run, b: Run, names: tuple[str, str]) -> BadInput:
    near = UnknownName("", name, [other for other in b if other not in a]).hint
    advice = "With --common only the layers that both have are compared."
    return BadInput(
        f"{names[1]} layer {name!r}", "no such layer", f"every layer of {names[0]}", f"{near} {advice}".strip()
    )


def _sizes(shape: Index) -> str:
    return ",".join(map(str, shape)) or "of a single number"


def _words(names: Run) -> str:
    return ", ".join(name for name in names if name != INPUT) or "none"
