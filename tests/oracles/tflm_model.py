"""TensorFlow Lite models of one operator, run by TensorFlow Lite Micro."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Tensor:
    """Shape, dtype and scales of a tensor; a tensor with `data` is a constant of the model."""

    shape: tuple[int, ...]
    dtype: type[np.generic]
    scale: Sequence[float] = ()
    zero_point: int = 0
    axis: int = 0
    data: NDArray[np.generic] | None = None


def constant(
    data: NDArray[np.integer], dtype: type[np.generic], scale: Sequence[float] = (), zero_point: int = 0, axis: int = 0
) -> Tensor:
    """Return a constant tensor of the model."""
    return Tensor(data.shape, dtype, scale, zero_point, axis, data.astype(dtype))


def run(
    operator: str, options: str, settings: dict[str, Any], inputs: list[Tensor], output: Tensor, *values: NDArray[Any]
) -> NDArray[np.integer]:
    """Run one operator on `values`, the inputs that are not constants; return its output codes."""
    from tflite_micro import runtime

    model = build(operator, options, settings, inputs, output)
    arena = 1 << 16
    arena += 2 * sum(int(np.prod(t.shape)) * np.dtype(t.dtype).itemsize for t in [*inputs, output])
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena)
    fed = [t for t in inputs if t.data is None]
    for i, (tensor, value) in enumerate(zip(fed, values, strict=True)):
        interpreter.set_input(value.astype(tensor.dtype), i)
    interpreter.invoke()
    return interpreter.get_output(0)


def build(operator: str, options: str, settings: dict[str, Any], inputs: list[Tensor], output: Tensor) -> bytes:
    """Return a .tflite model of one operator; `options` is the name of its options table, `settings` its content."""
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    kinds = {np.int8: "INT8", np.int16: "INT16", np.int32: "INT32", np.int64: "INT64"}
    buffers = [schema.BufferT()]
    tensors = []
    for i, t in enumerate([*inputs, output]):
        number = 0
        if t.data is not None:
            buffers.append(schema.BufferT(data=np.frombuffer(np.ascontiguousarray(t.data).tobytes(), np.uint8)))
            number = len(buffers) - 1
        quantization = schema.QuantizationParametersT(
            scale=[float(v) for v in t.scale], zeroPoint=[t.zero_point] * len(t.scale), quantizedDimension=t.axis
        )
        tensors.append(
            schema.TensorT(
                shape=list(t.shape),
                type=getattr(schema.TensorType, kinds[t.dtype]),
                buffer=number,
                name=f"t{i}",
                quantization=quantization if len(t.scale) else None,
            )
        )
    code = getattr(schema.BuiltinOperator, operator)
    step = schema.OperatorT(
        inputs=list(range(len(inputs))),
        outputs=[len(inputs)],
        builtinOptionsType=getattr(schema.BuiltinOptions, options),
        builtinOptions=getattr(schema, f"{options}T")(**settings),
    )
    graph = schema.SubGraphT(
        tensors=tensors,
        inputs=[i for i, t in enumerate(inputs) if t.data is None],
        outputs=[len(inputs)],
        operators=[step],
    )
    model = schema.ModelT(
        version=3,
        operatorCodes=[schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1)],
        subgraphs=[graph],
        buffers=buffers,
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
