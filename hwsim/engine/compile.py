"""From a network to a program: a place for every value, a step for every layer."""

from __future__ import annotations

import math

from hwsim.engine.epilogues import Epilogues
from hwsim.engine.gemm_steps import GemmSteps
from hwsim.engine.layouts import Layouts, pixels
from hwsim.engine.maps import NO_BORDER, Map, storage
from hwsim.engine.overflow_bounds import OverflowBounds
from hwsim.engine.program import Builder, Program
from hwsim.kernels.inference.instructions import Kind
from hwsim.network.graph import Network
from hwsim.network.layer import NORM_BITS, ROOT_BITS, Layer, Op


def compile_network(network: Network, instruction: str, written: frozenset[str] = frozenset()) -> Program:
    """The program of a network; `instruction` is one of `kernels.tiles.KERNELS`. Raises NotCompiled.

    The values named in `written` are in memory at the end, even where that is not the fastest way.
    """
    return _Compiler(network, instruction, written).program()


class _Compiler:
    def __init__(self, network: Network, instruction: str, written: frozenset[str]) -> None:
        self.network, self.builder, self.proofs = network, Builder(), OverflowBounds(network)
        self.written = written
        self.layouts = Layouts(network, self.builder)
        self.products = GemmSteps(network, self.builder, self.layouts, self.proofs, instruction)
        self.endings = Epilogues(network, self.builder, self.proofs)

    def program(self) -> Program:
        strides = self.layouts.place_input()
        absorbed = self.proofs.fused_adds(self.written)
        names = {layer.name for layer in absorbed.values()}
        for layer in self.network.layers:
            if layer.name not in names:
                self._layer(layer, absorbed.get(layer.name))
        words, ints, weights = self.builder.constants()
        outputs = math.prod(self.network.shapes[self.network.layers[-1].name])
        return Program(
            self.builder.table(), self.builder.maps, words, ints, weights, strides, self.network.input.qmin, outputs,
            tuple(self.products.masks), self.layouts.first_places(),
        )  # fmt: skip

    def _layer(self, layer: Layer, absorbed: Layer | None) -> None:
        """One layer; an add may have absorbed the convolution that feeds it."""
        if absorbed is not None:
            self.products.write(absorbed, layer)
            return
        match layer.op:
            case Op.CONV | Op.LINEAR:
                self.products.write(layer, None)
            case Op.MATMUL:
                self._matmul(layer)
            case Op.MAX_POOL | Op.AVG_POOL | Op.GLOBAL_AVG_POOL:
                self._pool(layer)
            case Op.ADD:
                self._add(layer)
            case Op.CONCAT:
                self._concat(layer)
            case Op.SOFTMAX:
                self._softmax(layer)
            case Op.LAYER_NORM:
                self._layer_norm(layer)
            case Op.FLATTEN | Op.RESHAPE | Op.TRANSPOSE:
                self.layouts.move(layer)

    def _matmul(self, layer: Layer) -> None:
        a, b = (self.layouts.read(name, False) for name in layer.inputs)
        (*_, m, k), n = self.network.shapes[layer.inputs[0]], self.network.shapes[layer.inputs[1]][-1]
        fields = self.endings.codes(layer) | {"table_size": m, "depth": k, "filters": n}
        self.builder.step(kind=Kind.MATMUL, x=a, other=b, y=self.layouts.new_map(layer.name, False), **fields)

    def _pool(self, layer: Layer) -> None:
        x, g = self.layouts.read(layer.inputs[0], True), layer.geometry
        _, height, width = self.network.shapes[layer.inputs[0]]
        kernel, stride, pad, dilation = g.kernel, g.stride, g.padding, g.dilation
        if layer.op is Op.GLOBAL_AVG_POOL:
            kernel, stride, pad, dilation = (height, width), (1, 1), (0, 0), (1, 1)
        fields = {} if layer.op is Op.MAX_POOL else self.endings.codes(layer)
        kind = Kind.MAX_POOL if layer.op is Op.MAX_POOL else Kind.SUM_POOL
        self.builder.step(
            kind=kind, x=x, y=self.layouts.new_map(layer.name, True), kernel_h=kernel[0], kernel_w=kernel[1],
            stride_h=stride[0], stride_w=stride[1], pad_h=pad[0], pad_w=pad[1], dilation_h=dilation[0],
            dilation_w=dilation[1], **fields,
        )  # fmt: skip

    def _add(self, layer: Layer) -> None:
        on_map = self.layouts.on_map[layer.inputs[0]]
        x, other = (self.layouts.read(name, on_map) for name in layer.inputs)
        y = self.layouts.new_map(layer.name, on_map)
        self.builder.step(kind=Kind.ADD, x=x, other=other, y=y, **self.endings.scaled(layer))

    def _concat(self, layer: Layer) -> None:
        """Operands side by side: in the channels of a map or a vector, else in its pixels."""
        shapes = [self.network.shapes[name] for name in layer.inputs]
        on_map = len(shapes[0]) == 3 and self.layouts.on_map[layer.inputs[0]]
        y = self.layouts.new_map(layer.name, on_map)
        whole, at = self.builder.maps[y], 0
        low, unit, planes = storage(layer.output)
        for index, (name, shape) in enumerate(zip(layer.inputs, shapes, strict=True)):
            x = self.layouts.read(name, on_map)
            height, width, channels = pixels(shape, on_map)
            border = whole.border if on_map else NO_BORDER
            part = self.builder.map(Map(height, width, channels, low, unit, planes, border, (y, at)))
            self.builder.step(kind=Kind.RESCALE, x=x, y=part, **self.endings.scaled(layer, index))
            at += channels if on_map or len(shape) == 1 else width * channels

    def _softmax(self, layer: Layer) -> None:
        rule = layer.softmax
        assert rule is not None
        fields = self.endings.clip(layer, layer.output.qmin, layer.output.qmax)
        self.builder.step(
            kind=Kind.SOFTMAX, x=self.layouts.read(layer.inputs[0], False), y=self.layouts.new_map(layer.name, False),
            table=self.builder.words(rule.table), table_size=len(rule.table), one=rule.one, **fields,
        )  # fmt: skip

    def _layer_norm(self, layer: Layer) -> None:
        assert layer.weight is not None
        self.builder.step(
            kind=Kind.LAYER_NORM, x=self.layouts.read(layer.inputs[0], False),
            y=self.layouts.new_map(layer.name, False), table=self.builder.words(layer.weight.values()),
            bias=self.builder.words(layer.bias), norm_bits=NORM_BITS, root_bits=ROOT_BITS,
            **self.endings.codes(layer),
        )  # fmt: skip
