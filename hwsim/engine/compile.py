"""Compiler from a network to a program: one map per value, one or more steps per layer."""

from __future__ import annotations

import math

from hwsim.engine.epilogues import Epilogues
from hwsim.engine.gemm_steps import GemmSteps
from hwsim.engine.layouts import Layouts, pixels
from hwsim.engine.maps import NO_BORDER, Map, storage
from hwsim.engine.overflow_bounds import OverflowBounds
from hwsim.engine.program import Builder, Program
from hwsim.kernels.inference.instructions import StepKind
from hwsim.network.graph import Network
from hwsim.network.layer import NORM_BITS, ROOT_BITS, Layer, Op


def compile_network(network: Network, instruction: str, stored: frozenset[str] = frozenset()) -> Program:
    """Return the program of a network; `instruction` is one of `microkernels.KERNELS`. Raises NotCompiled.

    The values named in `stored` are in memory at the end, even where a fused step would be faster.
    """
    return _Compiler(network, instruction, stored).program()


class _Compiler:
    def __init__(self, network: Network, instruction: str, stored: frozenset[str]) -> None:
        self.network, self.builder, self.bounds = network, Builder(), OverflowBounds(network)
        self.stored = stored
        self.layouts = Layouts(network, self.builder)
        self.gemm_steps = GemmSteps(network, self.builder, self.layouts, self.bounds, instruction)
        self.epilogues = Epilogues(network, self.builder, self.bounds)

    def program(self) -> Program:
        strides = self.layouts.input_map()
        fused = self.bounds.fused_adds(self.stored)
        names = {layer.name for layer in fused.values()}
        for layer in self.network.layers:
            if layer.name not in names:
                self._layer(layer, fused.get(layer.name))
        return Program(
            steps=self.builder.table(),
            maps=self.builder.maps,
            constants=self.builder.constants(),
            strides=strides,
            first_code=self.network.input.qmin,
            outputs=math.prod(self.network.shapes[self.network.layers[-1].name]),
            masks=tuple(self.gemm_steps.masks),
            value_maps=self.layouts.value_maps(),
        )

    def _layer(self, layer: Layer, fused: Layer | None) -> None:
        """Write the steps of one layer; an add may be fused with the convolution `fused` that computes its operand."""
        if fused is not None:
            self.gemm_steps.write(fused, layer)
            return
        match layer.op:
            case Op.CONV | Op.LINEAR:
                self.gemm_steps.write(layer, None)
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
                self.layouts.reorder(layer)

    def _matmul(self, layer: Layer) -> None:
        a, b = (self.layouts.map_of(name, False) for name in layer.inputs)
        (*_, m, k), n = self.network.shapes[layer.inputs[0]], self.network.shapes[layer.inputs[1]][-1]
        fields = self.epilogues.scalar(layer) | {"table_size": m, "depth": k, "filters": n}
        self.builder.step(kind=StepKind.MATMUL, x=a, other=b, y=self.layouts.new_map(layer.name, False), **fields)

    def _pool(self, layer: Layer) -> None:
        x, g = self.layouts.map_of(layer.inputs[0], True), layer.geometry
        _, height, width = self.network.shapes[layer.inputs[0]]
        kernel, stride, pad, dilation = g.kernel, g.stride, g.padding, g.dilation
        if layer.op is Op.GLOBAL_AVG_POOL:
            kernel, stride, pad, dilation = (height, width), (1, 1), (0, 0), (1, 1)
        fields = {} if layer.op is Op.MAX_POOL else self.epilogues.scalar(layer)
        kind = StepKind.MAX_POOL if layer.op is Op.MAX_POOL else StepKind.SUM_POOL
        self.builder.step(
            kind=kind, x=x, y=self.layouts.new_map(layer.name, True), kernel_h=kernel[0], kernel_w=kernel[1],
            stride_h=stride[0], stride_w=stride[1], pad_h=pad[0], pad_w=pad[1], dilation_h=dilation[0],
            dilation_w=dilation[1], **fields,
        )  # fmt: skip

    def _add(self, layer: Layer) -> None:
        on_map = self.layouts.on_map[layer.inputs[0]]
        x, other = (self.layouts.map_of(name, on_map) for name in layer.inputs)
        y = self.layouts.new_map(layer.name, on_map)
        self.builder.step(kind=StepKind.ADD, x=x, other=other, y=y, **self.epilogues.rescaling(layer))

    def _concat(self, layer: Layer) -> None:
        """Write the operands into parts of the result: channels of a map or a vector, else pixels."""
        shapes = [self.network.shapes[name] for name in layer.inputs]
        on_map = len(shapes[0]) == 3 and self.layouts.on_map[layer.inputs[0]]
        y = self.layouts.new_map(layer.name, on_map)
        whole, at = self.builder.maps[y], 0
        low, unit, planes = storage(layer.output)
        for index, (name, shape) in enumerate(zip(layer.inputs, shapes, strict=True)):
            x = self.layouts.map_of(name, on_map)
            height, width, channels = pixels(shape, on_map)
            border = whole.border if on_map else NO_BORDER
            part = self.builder.map(Map(height, width, channels, low, unit, planes, border, (y, at)))
            self.builder.step(kind=StepKind.RESCALE, x=x, y=part, **self.epilogues.rescaling(layer, index))
            at += channels if on_map or len(shape) == 1 else width * channels

    def _softmax(self, layer: Layer) -> None:
        rule = layer.softmax
        assert rule is not None
        fields = self.epilogues.clip(layer, layer.output.qmin, layer.output.qmax)
        self.builder.step(
            kind=StepKind.SOFTMAX, x=self.layouts.map_of(layer.inputs[0], False),
            y=self.layouts.new_map(layer.name, False), table=self.builder.longs(rule.table),
            table_size=len(rule.table), one=rule.one, **fields,
        )  # fmt: skip

    def _layer_norm(self, layer: Layer) -> None:
        assert layer.weight is not None
        self.builder.step(
            kind=StepKind.LAYER_NORM, x=self.layouts.map_of(layer.inputs[0], False),
            y=self.layouts.new_map(layer.name, False), table=self.builder.longs(layer.weight.values()),
            bias=self.builder.longs(layer.bias), norm_bits=NORM_BITS, root_bits=ROOT_BITS,
            **self.epilogues.scalar(layer),
        )  # fmt: skip
