"""A whole network on the circuit: each layer with MACs is one job, fed by the windows of the codes before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.formats import Format
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Layer, Op, Region, Requantizer
from tests.rtl.build import Array
from tests.rtl.circuit import Result, run
from tests.rtl.job import Emission, Ints, Job, Mode

NO_EMISSION = Requantizer(np.ones(1, np.int64), np.zeros(1, np.int64), -(2**31), 2**31 - 1)
"""For the logits, which leave as they are."""


@dataclass(frozen=True, eq=False)
class Done:
    """One sample's run: codes by layer name, shaped as in `hwsim.reference.run`, and each job with its result."""

    codes: dict[str, Ints]
    jobs: dict[str, tuple[Job, Result]]


def run_network(network: Network, sample: NDArray[np.integer], array: Array) -> Done:
    """`sample` [1, *input_shape]; convolutions and linear layers on the circuit, the rest by the reference."""
    codes: dict[str, Ints] = {INPUT: sample.astype(np.int64)}
    jobs = {}
    for layer in network.layers:
        operands, formats = [codes[name] for name in layer.inputs], [network.formats[name] for name in layer.inputs]
        if layer.has_macs:
            job = job_of(layer, operands[0], formats[0], array)
            jobs[layer.name] = job, run(job)
            columns = jobs[layer.name][1].codes.T  # [filter, output pixel]
            codes[layer.name] = columns.reshape(1, *network.shapes[layer.name])
        else:
            codes[layer.name] = reference.compute(layer, operands, formats)
    return Done(codes, jobs)


def job_of(layer: Layer, x: Ints, x_format: Format, array: Array) -> Job:
    """The matrix product of a layer of one sample; the reduction runs over kernel row, kernel column, channel."""
    assert layer.weight is not None and layer.bias is not None
    assert x_format.zero_point == 0 and layer.geometry.groups == 1
    w = as_matrix(layer, layer.weight.values())
    mask, low = None, None
    if layer.region is not None:
        mask, low = sensitive(layer, layer.region, x), as_matrix(layer, layer.region.low_weight.astype(np.int64))
    r = layer.requantizer or NO_EMISSION
    assert isinstance(r, Requantizer)
    multiplier, shift = (np.broadcast_to(v, layer.bias.shape) for v in (r.multiplier, r.shift))
    emission = Emission(multiplier, shift, layer.output.zero_point, r.low, r.high)
    mode = Mode(layer.weight.format.bits, x_format.bits, layer.weight.format.signed, x_format.signed)
    a = patches(layer, x)
    tiles = -(-w.shape[1] // array.cols), -(-w.shape[0] // (array.rows * mode.lanes))
    return Job(array, a, w, layer.bias, emission, np.zeros((*tiles, len(a)), np.int64), mode, mask, low)


def patches(layer: Layer, x: Ints) -> Ints:
    """What each output pixel multiplies: [output pixel, kernel row, kernel column, channel], the last three as one."""
    if layer.op is Op.LINEAR:
        return x
    found = reference.windows(x, layer.geometry, fill=0)[0].transpose(1, 2, 3, 4, 0)
    return found.reshape(found.shape[0] * found.shape[1], -1)


def as_matrix(layer: Layer, w: Ints) -> Ints:
    """Weights [filter, channel, kernel row, kernel column] as [K, N]."""
    return w.T if layer.op is Op.LINEAR else w.transpose(2, 3, 1, 0).reshape(-1, w.shape[0])


def sensitive(layer: Layer, region: Region, x: Ints) -> NDArray[np.bool_]:
    """Which operands lie in a sensitive region of the input: bool [M, K]; padding lies in none."""
    pixels = reference.spread(reference.sensitive_regions(region, x), region, x.shape)
    return patches(layer, np.broadcast_to(pixels, x.shape).astype(np.int64)).astype(np.bool_)
