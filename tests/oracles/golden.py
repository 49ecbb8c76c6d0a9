"""Committed outputs of the oracles: one .npz of integer arrays per oracle, with a JSON header of its cases."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, QTensor
from hwsim.network.layer import (
    Accumulator,
    Geometry,
    Layer,
    Op,
    Overflow,
    Requantizer,
    Rounding,
    Thresholds,
)
from tests.oracles.case import Case

FOLDER = Path(__file__).parent / "golden"
Arrays = dict[str, NDArray[np.integer]]
DTYPES = (np.int8, np.int16, np.int32, np.int64)


@dataclass(frozen=True, eq=False)
class Golden:
    """Content of one file: versions of the tools, and cases with their operator."""

    versions: str
    cases: tuple[tuple[str, Case], ...]


def save(path: Path, golden: Golden) -> None:
    """Write integers only: one array per dtype, the concatenation of all arrays whose smallest dtype it is."""
    rows: dict[str, list[NDArray[np.integer]]] = {dtype.__name__: [] for dtype in DTYPES}
    entries = []
    for operator, case in golden.cases:
        entry = {"operator": operator, **_describe(case), "arrays": {}}
        for name, array in _arrays(case).items():
            dtype = _smallest(array)
            rows[dtype].append(array.ravel())
            entry["arrays"][name] = [dtype, array.shape]
        entries.append(entry)
    header = json.dumps({"versions": golden.versions, "cases": entries}).encode()
    joined = {name: np.concatenate([*parts, np.zeros(0, np.int8)]).astype(name) for name, parts in rows.items()}
    np.savez_compressed(path, header=np.frombuffer(header, np.uint8), **joined)


def load(path: Path) -> Golden:
    """Read a file that `save` wrote."""
    with np.load(path, allow_pickle=False) as file:
        rows = {name: file[name] for name in file.files}
    header = json.loads(rows.pop("header").tobytes())
    cases = []
    for entry in header["cases"]:
        arrays: Arrays = {}
        for name, (dtype, shape) in entry["arrays"].items():
            arrays[name], rows[dtype] = np.split(rows[dtype], [math.prod(shape)])
            arrays[name] = arrays[name].reshape(shape)
        cases.append((entry["operator"], _restore(entry, arrays)))
    return Golden(header["versions"], tuple(cases))


def _describe(case: Case) -> dict[str, Any]:
    """Return all fields of a case that are not arrays."""
    layer, g, r = case.layer, case.layer.geometry, case.layer.requantizer
    assert layer.softmax is None and layer.region is None, "no oracle computes these exactly"
    entry: dict[str, Any] = {
        "op": layer.op,
        "output": _format(layer.output),
        "formats": [_format(f) for f in case.formats],
        "geometry": [g.kernel, g.stride, g.padding, g.groups, g.dilation, g.padding_end],
        "accumulator": [layer.accumulator.bits, layer.accumulator.overflow],
        "wrapped": case.wrapped,
    }
    if layer.weight is not None:
        entry["weight"] = _format(layer.weight.format)
    if isinstance(r, Requantizer):
        entry["requantizer"] = [r.low, r.high, r.rounding]
    elif r is not None:
        entry["thresholds"] = r.low
    return entry


def _arrays(case: Case) -> Arrays:
    layer, r = case.layer, case.layer.requantizer
    arrays: Arrays = {f"x{i}": x for i, x in enumerate(case.operands)} | {"answer": case.expected}
    if layer.weight is not None and layer.bias is not None:
        arrays |= {"weight": layer.weight.codes, "bias": layer.bias}
    if isinstance(r, Requantizer):
        arrays |= {"multiplier": r.multiplier, "shift": r.shift}
    elif r is not None:
        arrays["levels"] = r.levels
    return arrays


def _restore(entry: dict[str, Any], arrays: Arrays) -> Case:
    operands = tuple(arrays[f"x{i}"] for i in range(len(entry["formats"])))
    requantizer: Requantizer | Thresholds | None = None
    if "requantizer" in entry:
        low, high, rounding = entry["requantizer"]
        multiplier, shift = (arrays[k].astype(np.int64) for k in ("multiplier", "shift"))
        requantizer = Requantizer(multiplier, shift, low, high, Rounding(rounding))
    elif "thresholds" in entry:
        requantizer = Thresholds(arrays["levels"].astype(np.int64), entry["thresholds"])
    kernel, stride, padding, groups, dilation, end = entry["geometry"]
    bits, overflow = entry["accumulator"]
    layer = Layer(
        "layer",
        Op(entry["op"]),
        tuple(f"x{i}" for i in range(len(operands))),
        Format(*entry["output"]),
        weight=QTensor(arrays["weight"], Format(*entry["weight"])) if "weight" in entry else None,
        bias=arrays["bias"].astype(np.int64) if "weight" in entry else None,
        requantizer=requantizer,
        geometry=Geometry(
            tuple(kernel), tuple(stride), tuple(padding), groups, tuple(dilation), tuple(end) if end else None
        ),
        accumulator=Accumulator(bits, Overflow(overflow)),
    )
    formats = tuple(Format(*f) for f in entry["formats"])
    return Case(layer, formats, operands, arrays["answer"].astype(np.int64), entry["wrapped"])


def _format(format: Format) -> list[int | bool]:
    """Return the constructor arguments of a uniform format."""
    return [format.bits, format.signed, format.narrow_range, format.zero_point]


def _smallest(array: NDArray[np.integer]) -> str:
    """Return the name of the smallest signed dtype that represents all integers."""
    for dtype in DTYPES:
        if array.size == 0 or (np.iinfo(dtype).min <= array.min() and array.max() <= np.iinfo(dtype).max):
            return dtype.__name__
    raise AssertionError("integers beyond 64 bits")
