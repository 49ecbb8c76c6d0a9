"""ONNX models of one operator, run by onnxruntime without graph optimizations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 21
IR_VERSION = 10


def run(
    operator: str, inputs: list[NDArray[Any]], output: type[np.generic], domain: str = "", **settings: Any
) -> NDArray[Any]:
    """Return the output of one operator.

    The inputs with the numbers in `fed` (default: the first) are model inputs, and all other inputs are constants.
    Scales and zero points must be constants, and onnxruntime prepares constant weights as in real models. Graph
    optimizations are off, so that the operator's own kernel runs.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = build(operator, inputs, output, domain, settings)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {entry.name: inputs[int(entry.name[1:])] for entry in session.get_inputs()})[0]


def build(
    operator: str, inputs: list[NDArray[Any]], output: type[np.generic], domain: str, settings: dict[str, Any]
) -> bytes:
    """Return the serialized model; `settings["fed"]` are the numbers of the model inputs (default: the first)."""
    from onnx import helper, numpy_helper

    fed = settings.pop("fed", (0,))
    names = [f"x{i}" for i in range(len(inputs))]
    node = helper.make_node(operator, names, ["y"], domain=domain, **settings)
    infos = [
        helper.make_tensor_value_info(names[i], helper.np_dtype_to_tensor_dtype(inputs[i].dtype), inputs[i].shape)
        for i in fed
    ]
    result = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(output)), None)
    constants = [numpy_helper.from_array(v, names[i]) for i, v in enumerate(inputs) if i not in fed]
    graph = helper.make_graph([node], "one", infos, [result], constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
