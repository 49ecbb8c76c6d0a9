"""One question to an oracle: a layer of hwsim, the codes of its operands, and what the oracle made of them."""

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
CHECKED_OP = (Op.CONV, Op.LINEAR)


@dataclass(frozen=True, eq=False)
class Case:
    """A layer, its operands, and the oracle's answer in the same layout as `reference.compute` returns.

    `wrapped` is the width to which the output codes wrap (AP_WRAP), 0 for none: no requantizer of
    HQ1 wraps its codes, but `reference.wrap` is part of the definition.
    """

    layer: Layer
    formats: tuple[Format, ...]
    operands: tuple[NDArray[np.integer], ...]
    answer: NDArray[np.integer]
    wrapped: int = 0


def definition(case: Case) -> Ints:
    """What `hwsim.reference` says."""
    codes = reference.compute(case.layer, [x.astype(np.int64) for x in case.operands], list(case.formats))
    return reference.wrap(codes, case.wrapped) if case.wrapped else codes


def mismatches(case: Case) -> int:
    """How many outputs of the definition differ from the oracle's."""
    said = definition(case)
    assert said.shape == case.answer.shape, f"{said.shape} is not {case.answer.shape}"
    return int(np.count_nonzero(said != case.answer))


def executed_mismatches(case: Case) -> int | None:
    """How many outputs differ from the oracle's in any of the kernels; None where no kernel takes this layer on."""
    network = network_of(case)
    kernels = [] if network is None else [name for name in available() if compiled(network, name) is not None]
    if network is None or not kernels:
        return None
    zero = 0 if network.layers[-1].name == "asked" else case.layer.output.zero_point
    wrong = np.zeros(case.answer.size, np.bool_)
    for name in kernels:
        logits = execute(network, network_codes(case), name).outputs.astype(np.int64)
        wrong |= (logits.reshape(case.answer.shape) + zero != case.answer).ravel()
    return int(np.count_nonzero(wrong))


def network_of(case: Case) -> Network | None:
    """The network that shows the layer's output codes, less their zero point, as its logits.

    A network ends with raw 32-bit sums, so layers that emit codes are followed by a product with the
    identity. Several operands arrive side by side in one input and are taken apart by convolutions.
    """
    layer, wide = case.layer, case.answer.ndim == 4
    if case.wrapped or (layer.requantizer is None and layer.op in CHECKED_OP and layer.accumulator.bits > LOGITS.bits):
        return None
    if len(case.operands) > 1 and not wide:
        return None
    before: list[Layer] = []
    names: tuple[str, ...] = (INPUT,)
    input_format = case.formats[0]
    if len(case.operands) > 1:
        input_format = Format(16, signed=True)
        names = tuple(f"operand{i}" for i in range(len(case.operands)))
        before = [_operand(case, i) for i in range(len(case.operands))]
    layers = [*before, replace(layer, name="asked", inputs=names)]
    if not (layer.op in CHECKED_OP and layer.requantizer is None):
        layers.append(_identity("shown", "asked", case.answer.shape[1 if wide else -1], wide))
    return Network(input_format, network_codes(case).shape[1:], 1.0, tuple(layers))


def network_codes(case: Case) -> NDArray[np.integer]:
    """The operands as one input: side by side along the channels."""
    return np.concatenate(case.operands, axis=1) if len(case.operands) > 1 else case.operands[0]


def _identity(name: str, source: str, channels: int, wide: bool) -> Layer:
    """A product with the identity: its sums are the codes of `source` less their zero point."""
    weight = np.ones((channels, 1, 1, 1), np.int8) if wide else np.eye(channels, dtype=np.int8)
    return Layer(
        name,
        Op.CONV if wide else Op.LINEAR,
        (source,),
        LOGITS,
        weight=QTensor(weight, Format(2, signed=True)),
        bias=np.zeros(channels, np.int64),
        geometry=Geometry(groups=channels if wide else 1),
    )


def _operand(case: Case, which: int) -> Layer:
    """The convolution that takes operand `which` out of the joint input and gives it its own format."""
    sizes = [x.shape[1] for x in case.operands]
    format, start = case.formats[which], sum(sizes[:which])
    assert format.kind is Kind.UNIFORM
    weight = np.zeros((sizes[which], sum(sizes), 1, 1), np.int8)
    weight[np.arange(sizes[which]), start + np.arange(sizes[which])] = 1
    keep = Requantizer(np.ones(1, np.int64), np.zeros(1, np.int64), format.qmin, format.qmax)
    bias = np.full(sizes[which], -format.zero_point, np.int64)
    tensor = QTensor(weight, Format(2, signed=True))
    return Layer(f"operand{which}", Op.CONV, (INPUT,), format, weight=tensor, bias=bias, requantizer=keep)
