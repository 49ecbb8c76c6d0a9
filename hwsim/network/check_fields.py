"""Checks of the fields of a network one by one: the type of each, and that its operation reads it."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from hwsim.errors import BadInput
from hwsim.formats import Format, QTensor
from hwsim.network.layer import (
    POINTWISE,
    Accumulator,
    Geometry,
    Layer,
    Op,
    Overflow,
    Region,
    Requantizer,
    Rounding,
    Shape,
    Softmax,
    Thresholds,
)

_FIELDS: dict[type, dict[str, tuple[type, ...]]] = {
    Layer: {
        "name": (str,),
        "op": (Op,),
        "inputs": (tuple,),
        "output": (Format,),
        "scale": (Real,),
        "weight": (QTensor, type(None)),
        "bias": (np.ndarray, type(None)),
        "requantizer": (Requantizer, Thresholds, type(None)),
        "geometry": (Geometry,),
        "region": (Region, type(None)),
        "accumulator": (Accumulator,),
        "softmax": (Softmax, type(None)),
        "shape": (tuple,),
        "axes": (tuple,),
        "filter_bits": (tuple,),
    },
    Requantizer: {
        "multiplier": (np.ndarray,),
        "shift": (np.ndarray,),
        "low": (Integral,),
        "high": (Integral,),
        "rounding": (Rounding,),
    },
    Thresholds: {"levels": (np.ndarray,), "low": (Integral,)},
    Softmax: {"table": (np.ndarray,), "one": (Integral,)},
    Region: {
        "height": (Integral,),
        "width": (Integral,),
        "threshold": (Integral,),
        "low_weight": (np.ndarray,),
        "low_bits": (Integral,),
        "rounding": (Rounding,),
    },
    Accumulator: {"bits": (Integral,), "overflow": (Overflow,)},
}
"""Record -> field -> types that it may have."""

_WORDS = {type(None): "None", Integral: "an integer", Real: "a number", tuple: "a tuple", np.ndarray: "a numpy array"}
"""Words for types whose own name would not help."""

_WINDOWS = (Op.CONV, Op.MAX_POOL, Op.AVG_POOL)


def check_fields(input: Format, input_shape: Shape, input_scale: float, layers: Sequence[Layer]) -> None:
    """Raise BadInput, with the layer and the field, for a field of a wrong type and for one that nothing reads."""
    _check_type("network input", input, (Format,))
    _check_type("network input shape", input_shape, (tuple,))
    _check_type("network input scale", input_scale, (Real,))
    if not isinstance(layers, (tuple, list)) or not all(isinstance(layer, Layer) for layer in layers):
        raise BadInput("network layers", f"a {type(layers).__name__}", "a tuple of Layer")
    for layer in layers:
        place = f"layer {layer.name!r}"
        _check_record(place, layer)
        for name in ("requantizer", "region", "softmax", "accumulator"):
            if getattr(layer, name) is not None:
                _check_record(f"{place} {name}", getattr(layer, name))


def _check_record(place: str, record: Any) -> None:
    for name, types in _FIELDS[type(record)].items():
        _check_type(f"{place} {name}", getattr(record, name), types)


def _check_type(place: str, value: object, types: tuple[type, ...]) -> None:
    if isinstance(value, types) and not isinstance(value, np.ma.MaskedArray):
        return
    one_line = " ".join(repr(value).split())
    words = " or ".join(_WORDS.get(one, one.__name__) for one in types)
    raise BadInput(place, f"{one_line:.40} ({type(value).__name__})", words)


def check_unread(layer: Layer) -> None:
    """Raise BadInput for a window, shape or axes on a layer that does not read them: the file means something else."""
    place = f"layer {layer.name!r}"
    if layer.op not in _WINDOWS and layer.geometry != POINTWISE:
        raise BadInput(f"{place} geometry", layer.geometry, f"none for {layer.op}, which has no window")
    if layer.op is not Op.CONV and layer.geometry.groups != 1:
        raise BadInput(f"{place} groups", layer.geometry.groups, "1, for groups belong to convolutions")
    if layer.op is not Op.RESHAPE and layer.shape:
        raise BadInput(f"{place} shape", layer.shape, f"none for {layer.op}")
    if layer.op is not Op.TRANSPOSE and layer.axes:
        raise BadInput(f"{place} axes", layer.axes, f"none for {layer.op}")
