"""Test case of an oracle: a layer, the codes of its operands, and the oracle's output."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.engine.execute import available, compiled, execute
from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op, Requantizer

Ints = NDArray[np.int64]
WEIGHTED_OPS = (Op.CONV, Op.LINEAR)


@dataclass(frozen=True, eq=False)
class Case:
    """A layer, its operands, and the oracle's output.

    Attributes
    ----------
    layer : layer with the policy that corresponds to the oracle
    formats : format of each operand
    operands : codes of each operand, [sample, ...]
    expected : output of the oracle, in the layout of `reference.compute`
    wrapped : width to which the output codes wrap (AP_WRAP), 0 for none; no requantizer of HQ1 wraps its codes, but
        `reference.wrap` is part of the definition
    """

    layer: Layer
    formats: tuple[Format, ...]
    operands: tuple[NDArray[np.integer], ...]
    expected: NDArray[np.integer]
    wrapped: int = 0


def definition(case: Case) -> Ints:
    """Return the output of `hwsim.reference`."""
    codes = reference.compute(case.layer, [x.astype(np.int64) for x in case.operands], list(case.formats))
    return reference.wrap(codes, case.wrapped) if case.wrapped else codes


def mismatches(case: Case) -> int:
    """Return the number of outputs in which the definition differs from the oracle."""
    codes = definition(case)
    assert codes.shape == case.expected.shape, f"{codes.shape} is not {case.expected.shape}"
    return int(np.count_nonzero(codes != case.expected))


def kernel_mismatches(case: Case) -> int | None:
    """Return the number of outputs in which any kernel differs from the oracle; None if no kernel runs the layer."""
    network = network_of(case)
    kernels = [] if network is None else [name for name in available() if compiled(network, name) is not None]
    if network is None or not kernels:
        return None
    zero = 0 if network.layers[-1].name == "tested" else case.layer.output.zero_point
    wrong = np.zeros(case.expected.size, np.bool_)
    for name in kernels:
        logits = execute(network, network_codes(case), name).outputs.astype(np.int64)
        wrong |= (logits.reshape(case.expected.shape) + zero != case.expected).ravel()
    return int(np.count_nonzero(wrong))


def network_of(case: Case) -> Network | None:
    """Return a network whose logits are the layer's output codes minus their zero point; None if there is none.

    A network ends with raw 32-bit sums, so a layer with codes as output is followed by a product with the identity.
    Several operands are concatenated in one input and separated by convolutions.
    """
    layer, is_map = case.layer, case.expected.ndim == 4
    if case.wrapped or (
        layer.requantizer is None and layer.op in WEIGHTED_OPS and layer.accumulator.bits > LOGITS.bits
    ):
        return None
    if len(case.operands) > 1 and not is_map:
        return None
    before: list[Layer] = []
    names: tuple[str, ...] = (INPUT,)
    input_format = case.formats[0]
    if len(case.operands) > 1:
        input_format = Format(16, signed=True)
        names = tuple(f"operand{i}" for i in range(len(case.operands)))
        before = [_operand(case, i) for i in range(len(case.operands))]
    layers = [*before, replace(layer, name="tested", inputs=names)]
    if not (layer.op in WEIGHTED_OPS and layer.requantizer is None):
        layers.append(_identity("codes", "tested", case.expected.shape[1 if is_map else -1], is_map))
    return Network(input_format, network_codes(case).shape[1:], 1.0, tuple(layers))


def network_codes(case: Case) -> NDArray[np.integer]:
    """Return the operands as one input, concatenated along the channels."""
    return np.concatenate(case.operands, axis=1) if len(case.operands) > 1 else case.operands[0]


def _identity(name: str, source: str, channels: int, is_map: bool) -> Layer:
    """Return a product with the identity: its sums are the codes of `source` minus their zero point."""
    weight = np.ones((channels, 1, 1, 1), np.int8) if is_map else np.eye(channels, dtype=np.int8)
    return Layer(
        name,
        Op.CONV if is_map else Op.LINEAR,
        (source,),
        LOGITS,
        weight=QTensor(weight, Format(2, signed=True)),
        bias=np.zeros(channels, np.int64),
        geometry=Geometry(groups=channels if is_map else 1),
    )


def _operand(case: Case, number: int) -> Layer:
    """Return the convolution that selects operand `number` from the joint input and gives it its own format."""
    sizes = [x.shape[1] for x in case.operands]
    format, start = case.formats[number], sum(sizes[:number])
    assert format.kind is Kind.UNIFORM
    weight = np.zeros((sizes[number], sum(sizes), 1, 1), np.int8)
    weight[np.arange(sizes[number]), start + np.arange(sizes[number])] = 1
    keep = Requantizer(np.ones(1, np.int64), np.zeros(1, np.int64), format.qmin, format.qmax)
    bias = np.full(sizes[number], -format.zero_point, np.int64)
    tensor = QTensor(weight, Format(2, signed=True))
    return Layer(f"operand{number}", Op.CONV, (INPUT,), format, weight=tensor, bias=bias, requantizer=keep)
