"""One output element of one layer, explained in unbounded integers and held against the definition."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.debug.explanation import Accumulated, Explanation, Index, Levels, Norm, Operand, Product, Scaling
from hwsim.debug.inputs import check_codes
from hwsim.debug.output_element import Element
from hwsim.debug.partial_products import Tap, padding, taps, window
from hwsim.debug.rounding import stage, wrap
from hwsim.debug.scaling import Ending, divide, scale_sum
from hwsim.errors import BadInput
from hwsim.network.accumulator_bounds import layer_bound
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, NORM_BITS, ROOT_BITS, Op, Overflow, Requantizer, Rounding, Thresholds

OPERAND_BITS = 32
"""Operands of an add or a concatenation are scaled as 32-bit integers."""


@dataclass(frozen=True)
class _Parts:
    """What an op contributes to an explanation; see there."""

    code: int
    operands: tuple[Operand, ...] = ()
    products: tuple[Product, ...] = ()
    norm: Norm | None = None
    accumulated: Accumulated | None = None
    levels: Levels | None = None
    scaling: Scaling | None = None


def explain(
    network: Network, codes: NDArray[np.integer], layer: str, at: Sequence[int], sample: int = 0
) -> Explanation:
    """How one output element came about, from its operands to its code; `hwsim.debug.text` prints it.

    `codes` is [sample, *input_shape] or one sample alone, `at` an index into one sample of the layer's
    output. Raises BadInput for a layer, element or sample that is not there.

    >>> from hwsim.formats import LOGITS, Format, QTensor
    >>> from hwsim.network.layer import Layer
    >>> weight = QTensor(np.array([[2, -1]]), Format(8, signed=True))
    >>> last = Layer("logits", Op.LINEAR, (INPUT,), LOGITS, weight=weight, bias=np.array([5]))
    >>> found = explain(Network(Format(8), (2,), 1.0, (last,)), np.array([3, 4]), "logits", (0,))
    >>> [product.product for product in found.products], found.code
    ([6, -4], 7)
    """
    target, place = network[layer], tuple(int(i) for i in at)
    _check_place(layer, place, network.shapes[layer])
    samples = check_codes(network, codes)
    if not 0 <= sample < len(samples):
        raise BadInput("sample", sample, f"0 to {len(samples) - 1}" if len(samples) else "none: there are no codes")
    done = _run_until(network, samples[sample : sample + 1], layer)
    element = Element(
        target,
        tuple(done[name][0] for name in target.inputs),
        tuple(network.formats[name] for name in target.inputs),
        place,
    )
    parts = _parts(element, _bound(network, element))
    if parts.code != done[layer][0][place]:
        raise AssertionError(f"a bug: layer {layer!r} at {place} is {done[layer][0][place]}, explained as {parts.code}")
    return Explanation(
        layer, target.op, sample, place, network.shapes[layer], str(target.output), parts.operands, parts.products,
        parts.norm, parts.accumulated, parts.levels, parts.scaling, parts.code,
    )  # fmt: skip


def _check_place(layer: str, at: Index, shape: Index) -> None:
    if len(at) != len(shape) or not all(0 <= i < size for i, size in zip(at, shape, strict=True)):
        numbers = f"{len(shape)} number" + ("s" if len(shape) > 1 else "")
        ranges = ", ".join(f"0 to {size - 1}" for size in shape)
        raise BadInput("at", ",".join(map(str, at)), f"{numbers} for layer {layer!r}: {ranges}")


def _run_until(network: Network, codes: NDArray[np.int64], last: str) -> dict[str, NDArray[np.int64]]:
    """Codes after every layer up to `last`."""
    done = {INPUT: codes}
    for layer in network.layers:
        operands = [done[name] for name in layer.inputs]
        done[layer.name] = reference.compute(layer, operands, [network.formats[name] for name in layer.inputs])
        if layer.name == last:
            break
    return done


def _bound(network: Network, element: Element) -> int:
    bound = layer_bound(element.layer, network.formats, network.shapes)
    return element.of_channel(bound) if len(bound) else 0


def _parts(element: Element, bound: int) -> _Parts:
    match element.layer.op:
        case Op.FLATTEN | Op.RESHAPE | Op.TRANSPOSE:
            return _moved(element)
        case Op.MAX_POOL:
            return _largest(element)
        case Op.ADD:
            return _added(element)
        case Op.CONCAT:
            return _concatenated(element)
        case Op.SOFTMAX:
            return _softmax(element)
        case Op.LAYER_NORM:
            return _normalized(element, bound)
    products, saturated = _add_up(element, taps(element))
    return _finish(element, _accumulated(element, products, bound, saturated), products=products)


def _moved(element: Element) -> _Parts:
    """The code of another place, as it is."""
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
    return _Parts(operand.code, (operand,))


def _largest(element: Element) -> _Parts:
    fill = element.formats[0].qmin
    operands = tuple(x or padding(element, fill) for x in window(element))
    return _Parts(max(x.code for x in operands if x.code is not None), operands)


def _added(element: Element) -> _Parts:
    """Both operands by their multipliers, then one shift."""
    r = element.layer.requantizer
    assert isinstance(r, Requantizer)
    pairs = [(element.operand(element.at, i), _constant("multiplier", i, int(m), int(m)), 0)
             for i, m in enumerate(r.multiplier.ravel())]  # fmt: skip
    products, _ = _add_up(element, pairs)
    scaling = divide(products[-1].total, 1 << int(r.shift.ravel()[0]), r.rounding, _ending(element, r))
    return _Parts(scaling.code, products=products, scaling=scaling)


def _concatenated(element: Element) -> _Parts:
    """The operand that the place belongs to, by its own multiplier and shift."""
    r = element.layer.requantizer
    assert isinstance(r, Requantizer)
    first, *rest = element.at
    number = 0
    while first >= len(element.codes[number]):
        first -= len(element.codes[number])
        number += 1
    operand = element.operand((first, *rest), number)
    multiplier, shift = int(r.multiplier.ravel()[number]), int(r.shift.ravel()[number])
    scaling = scale_sum(operand.value, multiplier, shift, r.rounding, OPERAND_BITS, _ending(element, r))
    return _Parts(scaling.code, (operand,), scaling=scaling)


def _softmax(element: Element) -> _Parts:
    """The table's weights of the whole row, and the element's share of them."""
    rule = element.layer.softmax
    assert rule is not None
    *row, own = element.at
    codes = element.codes[0][tuple(row)].tolist()
    pairs: list[Tap] = []
    for k, code in enumerate(codes):
        below = max(codes) - code
        weight = int(rule.table[below]) if below < len(rule.table) else 0
        operand = element.operand((*row, k), note="this one" if k == own else "")
        pairs.append((operand, _constant("table", below, weight, weight), 0))
    products = _weights_alone(pairs)
    output = element.layer.output
    ending = Ending(output.zero_point, output.qmin, output.qmax)
    scaling = divide(products[own].product * rule.one, products[-1].total, Rounding.HALF_UP, ending)
    return _Parts(scaling.code, products=products, scaling=scaling)


def _normalized(element: Element, bound: int) -> _Parts:
    *row, own = element.at
    operands = tuple(element.operand((*row, k)) for k in range(element.codes[0].shape[-1]))
    norm = _norm([x.value for x in operands], own)
    factor = element.weight((own,))
    product = norm.normal * factor.value
    normal = Operand("normal", element.at, None, norm.normal)
    products = (Product(normal, factor, product, element.bias + product),)
    accumulated = _accumulated(element, products, bound, 0)
    return _finish(element, accumulated, operands, products, norm)


def _norm(values: Sequence[int], own: int) -> Norm:
    size, total, squares = len(values), sum(values), sum(v * v for v in values)
    centred, variance = size * values[own] - total, size * squares - total * total
    root = max(math.isqrt(variance << ROOT_BITS), 1)
    normal = stage(centred << (NORM_BITS + ROOT_BITS // 2), root, Rounding.HALF_UP).result
    return Norm(size, total, squares, centred, variance, root, normal)


def _add_up(element: Element, pairs: Iterable[Tap]) -> tuple[tuple[Product, ...], int]:
    """Products with their running sum, from the bias on; and how many steps of it saturated."""
    accumulator = element.layer.accumulator
    stepwise = accumulator.overflow is Overflow.SATURATE_STEP

    def held(total: int) -> int:
        return min(max(total, accumulator.low), accumulator.high) if stepwise else total

    total, saturated = held(element.bias), int(held(element.bias) != element.bias)
    products = []
    for operand, factor, shift in pairs:
        product = operand.value * (1 if factor is None else factor.value) << shift
        saturated += int(held(total + product) != total + product)
        total = held(total + product)
        products.append(Product(operand, factor, product, total, shift))
    return tuple(products), saturated


def _weights_alone(pairs: Iterable[Tap]) -> tuple[Product, ...]:
    """The factors added up by themselves: what a softmax does with the weights of its table."""
    total, products = 0, []
    for operand, factor, _ in pairs:
        assert factor is not None
        total += factor.value
        products.append(Product(operand, factor, factor.value, total))
    return tuple(products)


def _accumulated(element: Element, products: Sequence[Product], bound: int, saturated: int) -> Accumulated:
    accumulator, bias = element.layer.accumulator, element.bias
    exact = bias + sum(product.product for product in products)
    match accumulator.overflow:
        case Overflow.SATURATE_END:
            held = min(max(exact, accumulator.low), accumulator.high)
        case Overflow.SATURATE_STEP:
            held = products[-1].total
        case _:
            held = wrap(exact, accumulator.bits)
    return Accumulated(bias, exact, held, accumulator.bits, accumulator.overflow, bound, saturated)


def _finish(
    element: Element,
    accumulated: Accumulated,
    operands: tuple[Operand, ...] = (),
    products: tuple[Product, ...] = (),
    norm: Norm | None = None,
) -> _Parts:
    """From the accumulator to the code."""
    r, held = element.layer.requantizer, accumulated.held
    if r is None:
        return _Parts(held, operands, products, norm, accumulated)
    if isinstance(r, Thresholds):
        row = r.levels[element.channel if len(r.levels) > 1 else 0].tolist()
        levels = Levels(tuple(row), sum(held >= level for level in row), r.low)
        return _Parts(levels.low + levels.reached, operands, products, norm, accumulated, levels)
    multiplier, shift = element.of_channel(r.multiplier), element.of_channel(r.shift)
    scaling = scale_sum(held, multiplier, shift, r.rounding, accumulated.bits, _ending(element, r))
    return _Parts(scaling.code, operands, products, norm, accumulated, None, scaling)


def _ending(element: Element, r: Requantizer) -> Ending:
    return Ending(element.layer.output.zero_point, r.low, r.high)


def _constant(source: str, at: int, code: int, value: int) -> Operand:
    return Operand(source, (at,), code, value)
