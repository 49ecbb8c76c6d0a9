"""No quantization: the reference for all quantizers."""

from __future__ import annotations

from typing import ClassVar

from hwsim.registry import Configurable, register


@register("quantizer", "float32", citation="none: the trained network as torch computes it")
class Float32(Configurable):
    """The trained network itself, in 32-bit floating point: a reference for accuracy and leakage.

    It is not an integer network, so it runs on no accelerator and has no cycles or energy.
    """

    integer: ClassVar[bool] = False
