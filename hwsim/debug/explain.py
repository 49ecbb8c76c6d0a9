"""Explanation of one output element of one layer in unbounded integers, checked against the definition."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.debug.explanation import (
    AccumulatedSum,
    Explanation,
    Index,
    Normalization,
    Operand,
    PartialProduct,
    Requantization,
    ThresholdResult,
)
from hwsim.debug.inputs import check_codes
from hwsim.debug.output_element import OutputElement
from hwsim.debug.partial_products import OperandPair, operand_pairs, padding, window
from hwsim.debug.requantization import OutputClip, divide, scale_sum
from hwsim.debug.rounding import round_division, wrap
from hwsim.errors import BadInput
from hwsim.network.accumulator_bounds import layer_bound
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, NORM_BITS, ROOT_BITS, Op, Overflow, Requantizer, Rounding, Thresholds

OPERAND_BITS = 32
"""Width of the operands that an add or a concatenation scales."""


@dataclass(frozen=True)
class _OpResult:
    """Output code of an operation, with the parts of the explanation that the operation has."""

    code: int
    operands: tuple[Operand, ...] = ()
    products: tuple[PartialProduct, ...] = ()
    normalization: Normalization | None = None
    accumulated: AccumulatedSum | None = None
    thresholds: ThresholdResult | None = None
    requantization: Requantization | None = None


def explain(
    network: Network, codes: NDArray[np.integer], layer: str, at: Sequence[int], sample: int = 0
) -> Explanation:
    """Explain the computation of one output element, from its operands to its code.

    `hwsim.debug.text.explanation_text` formats the result. Raises BadInput for an unknown layer, and for
    an element or sample outside the arrays.

    Parameters
    ----------
    codes : integer input codes, [sample, *input_shape] or [*input_shape]
    layer : name of the layer
    at : index into one sample of the layer's output
    sample : index of the sample

    >>> from hwsim.formats import LOGITS, Format, QTensor
    >>> from hwsim.network.layer import Layer
    >>> weight = QTensor(np.array([[2, -1]]), Format(8, signed=True))
    >>> last = Layer("logits", Op.LINEAR, (INPUT,), LOGITS, weight=weight, bias=np.array([5]))
    >>> found = explain(Network(Format(8), (2,), 1.0, (last,)), np.array([3, 4]), "logits", (0,))
    >>> [product.product for product in found.products], found.code
    ([6, -4], 7)
    """
    target, position = network[layer], tuple(int(i) for i in at)
    _check_index(layer, position, network.shapes[layer])
    samples = check_codes(network, codes)
    if not 0 <= sample < len(samples):
        raise BadInput("sample", sample, f"0 to {len(samples) - 1}" if len(samples) else "none: there are no codes")
    computed = _run_until(network, samples[sample : sample + 1], layer)
    element = OutputElement(
        target,
        tuple(computed[name][0] for name in target.inputs),
        tuple(network.formats[name] for name in target.inputs),
        position,
    )
    result = _explain_op(element, _bound(network, element))
    wanted = computed[layer][0][position]
    if result.code != wanted:
        raise AssertionError(f"a bug: layer {layer!r} at {position} is {wanted}, explained as {result.code}")
    return Explanation(
        layer=layer,
        op=target.op,
        sample=sample,
        at=position,
        shape=network.shapes[layer],
        output=str(target.output),
        operands=result.operands,
        products=result.products,
        normalization=result.normalization,
        accumulated=result.accumulated,
        thresholds=result.thresholds,
        requantization=result.requantization,
        code=result.code,
    )


def _check_index(layer: str, at: Index, shape: Index) -> None:
    if len(at) != len(shape) or not all(0 <= i < size for i, size in zip(at, shape, strict=True)):
        numbers = f"{len(shape)} number" + ("s" if len(shape) > 1 else "")
        ranges = ", ".join(f"0 to {size - 1}" for size in shape)
        raise BadInput("at", ",".join(map(str, at)), f"{numbers} for layer {layer!r}: {ranges}")


def _run_until(network: Network, codes: NDArray[np.int64], last: str) -> dict[str, NDArray[np.int64]]:
    """Return int64 codes [sample, ...] by layer name, up to layer `last`."""
    done = {INPUT: codes}
    for layer in network.layers:
        operands = [done[name] for name in layer.inputs]
        done[layer.name] = reference.compute(layer, operands, [network.formats[name] for name in layer.inputs])
        if layer.name == last:
            break
    return done


def _bound(network: Network, element: OutputElement) -> int:
    bound = layer_bound(element.layer, network.formats, network.shapes)
    return element.of_channel(bound) if len(bound) else 0


def _explain_op(element: OutputElement, bound: int) -> _OpResult:
    match element.layer.op:
        case Op.FLATTEN | Op.RESHAPE | Op.TRANSPOSE:
            return _copied(element)
        case Op.MAX_POOL:
            return _max_pooled(element)
        case Op.ADD:
            return _added(element)
        case Op.CONCAT:
            return _concatenated(element)
        case Op.SOFTMAX:
            return _softmax(element)
        case Op.LAYER_NORM:
            return _normalized(element, bound)
    products, saturated = _add_up(element, operand_pairs(element))
    return _from_sum(element, _accumulated(element, products, bound, saturated), products=products)


def _copied(element: OutputElement) -> _OpResult:
    """Explain a layer that copies one code of its input."""
    shape = element.codes[0].shape
    if element.layer.op is Op.TRANSPOSE:
        source = [0] * len(shape)
        for axis, i in zip(element.layer.axes, element.at, strict=True):
            source[axis] = i
    else:
        own = (math.prod(shape),) if element.layer.op is Op.FLATTEN else element.layer.shape
        source = [int(i) for i in np.unravel_index(np.ravel_multi_index(element.at, own), shape)]
    operand = element.operand(tuple(source))
    assert operand.code is not None
    return _OpResult(operand.code, (operand,))


def _max_pooled(element: OutputElement) -> _OpResult:
    fill = element.formats[0].qmin
    operands = tuple(x or padding(element, fill) for x in window(element))
    return _OpResult(max(x.code for x in operands if x.code is not None), operands)


def _added(element: OutputElement) -> _OpResult:
    """Explain a residual add: each operand times its multiplier, then one shift of the sum."""
    r = element.layer.requantizer
    assert isinstance(r, Requantizer)
    pairs = [(element.operand(element.at, i), _constant("multiplier", i, int(m), int(m)), 0)
             for i, m in enumerate(r.multiplier.ravel())]  # fmt: skip
    products, _ = _add_up(element, pairs)
    requantization = divide(products[-1].total, 1 << int(r.shift.ravel()[0]), r.rounding, _output_clip(element, r))
    return _OpResult(requantization.code, products=products, requantization=requantization)


def _concatenated(element: OutputElement) -> _OpResult:
    """Explain a concatenation: one operand, scaled by its own multiplier and shift."""
    r = element.layer.requantizer
    assert isinstance(r, Requantizer)
    first, *others = element.at
    number = 0
    while first >= len(element.codes[number]):
        first -= len(element.codes[number])
        number += 1
    operand = element.operand((first, *others), number)
    multiplier, shift = int(r.multiplier.ravel()[number]), int(r.shift.ravel()[number])
    requantization = scale_sum(operand.value, multiplier, shift, r.rounding, OPERAND_BITS, _output_clip(element, r))
    return _OpResult(requantization.code, (operand,), requantization=requantization)


def _softmax(element: OutputElement) -> _OpResult:
    """Explain a softmax: the table entries of the row, and the element's entry divided by their sum."""
    rule = element.layer.softmax
    assert rule is not None
    *row, own = element.at
    codes = element.codes[0][tuple(row)].tolist()
    pairs: list[OperandPair] = []
    for k, code in enumerate(codes):
        below = max(codes) - code
        weight = int(rule.table[below]) if below < len(rule.table) else 0
        operand = element.operand((*row, k), note="this element" if k == own else "")
        pairs.append((operand, _constant("table", below, weight, weight), 0))
    products = _table_sums(pairs)
    output = element.layer.output
    output_clip = OutputClip(output.zero_point, output.qmin, output.qmax)
    requantization = divide(products[own].product * rule.one, products[-1].total, Rounding.HALF_UP, output_clip)
    return _OpResult(requantization.code, products=products, requantization=requantization)


def _normalized(element: OutputElement, bound: int) -> _OpResult:
    """Explain a layer norm: the normalized value times its weight, plus the bias."""
    *row, own = element.at
    operands = tuple(element.operand((*row, k)) for k in range(element.codes[0].shape[-1]))
    normalization = _normalization([x.value for x in operands], own)
    factor = element.weight((own,))
    product = normalization.normal * factor.value
    normal = Operand("normal", element.at, None, normalization.normal)
    products = (PartialProduct(normal, factor, product, element.bias + product),)
    accumulated = _accumulated(element, products, bound, 0)
    return _from_sum(element, accumulated, operands, products, normalization)


def _normalization(values: Sequence[int], own: int) -> Normalization:
    """Normalize entry `own` of a row."""
    size, total, squares = len(values), sum(values), sum(v * v for v in values)
    centered, variance = size * values[own] - total, size * squares - total * total
    root = max(math.isqrt(variance << ROOT_BITS), 1)
    normal = round_division(centered << (NORM_BITS + ROOT_BITS // 2), root, Rounding.HALF_UP).result
    return Normalization(size, total, squares, centered, variance, root, normal)


def _add_up(element: OutputElement, pairs: Iterable[OperandPair]) -> tuple[tuple[PartialProduct, ...], int]:
    """Return the products with their running sum, which starts at the bias, and the number of steps that saturated."""
    accumulator = element.layer.accumulator
    stepwise = accumulator.overflow is Overflow.SATURATE_STEP

    def saturate(total: int) -> int:
        return min(max(total, accumulator.low), accumulator.high) if stepwise else total

    total, saturated = saturate(element.bias), int(saturate(element.bias) != element.bias)
    products = []
    for operand, factor, shift in pairs:
        product = operand.value * (1 if factor is None else factor.value) << shift
        saturated += int(saturate(total + product) != total + product)
        total = saturate(total + product)
        products.append(PartialProduct(operand, factor, product, total, shift))
    return tuple(products), saturated


def _table_sums(pairs: Iterable[OperandPair]) -> tuple[PartialProduct, ...]:
    """Return the sum of the second factors alone, as a softmax adds up its table entries."""
    total, products = 0, []
    for operand, factor, _ in pairs:
        assert factor is not None
        total += factor.value
        products.append(PartialProduct(operand, factor, factor.value, total))
    return tuple(products)


def _accumulated(
    element: OutputElement, products: Sequence[PartialProduct], bound: int, saturated: int
) -> AccumulatedSum:
    """Apply the overflow policy to the exact sum of the products and the bias."""
    accumulator, bias = element.layer.accumulator, element.bias
    exact = bias + sum(product.product for product in products)
    match accumulator.overflow:
        case Overflow.SATURATE_END:
            stored = min(max(exact, accumulator.low), accumulator.high)
        case Overflow.SATURATE_STEP:
            stored = products[-1].total
        case _:
            stored = wrap(exact, accumulator.bits)
    return AccumulatedSum(bias, exact, stored, accumulator.bits, accumulator.overflow, bound, saturated)


def _from_sum(
    element: OutputElement,
    accumulated: AccumulatedSum,
    operands: tuple[Operand, ...] = (),
    products: tuple[PartialProduct, ...] = (),
    normalization: Normalization | None = None,
) -> _OpResult:
    """Compute the code from the accumulated sum: raw, by thresholds, or by multiplier and shift."""
    r, stored = element.layer.requantizer, accumulated.stored
    if r is None:
        return _OpResult(stored, operands, products, normalization, accumulated)
    if isinstance(r, Thresholds):
        row = r.levels[element.channel if len(r.levels) > 1 else 0].tolist()
        found = ThresholdResult(tuple(row), sum(stored >= level for level in row), r.low)
        return _OpResult(found.low + found.reached, operands, products, normalization, accumulated, found)
    multiplier, shift = element.of_channel(r.multiplier), element.of_channel(r.shift)
    requantization = scale_sum(stored, multiplier, shift, r.rounding, accumulated.bits, _output_clip(element, r))
    return _OpResult(requantization.code, operands, products, normalization, accumulated, None, requantization)


def _output_clip(element: OutputElement, r: Requantizer) -> OutputClip:
    return OutputClip(element.layer.output.zero_point, r.low, r.high)


def _constant(source: str, at: int, code: int, value: int) -> Operand:
    return Operand(source, (at,), code, value)
