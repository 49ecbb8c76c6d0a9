"""Records of a layer, an array and a tiling as the kernels of `hwsim.kernels.machine.tiling_search` read them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.cache import cached
from hwsim.kernels.machine.tiling_search import (
    ARRAY,
    BALANCED,
    MIN_LATENCY,
    MIN_TRAFFIC,
    SHAPE,
    TILING,
    ArrayFields,
    ShapeFields,
    TilingFields,
)
from hwsim.machine.dataflow.base import Extents, FoldOverheads, PortLimits
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.pe.base import Rate
from hwsim.network.product import Product


def record(fields: ShapeFields | ArrayFields | TilingFields) -> NDArray[np.void]:
    """Return one SHAPE, ARRAY or TILING, filled by name.

    >>> record(TilingFields(images=1, rows=2, cols=3, filters=4, channels=5, order=0)).tolist()
    [(1, 2, 3, 4, 5, 0)]
    """
    made = np.zeros(1, dtype=_DTYPES[type(fields)])
    made[0] = fields
    return made


_OBJECTIVES = {"dram_traffic": MIN_TRAFFIC, "latency": MIN_LATENCY, "balanced": BALANCED}
"""Value of `Accelerator.optimize` -> ARRAY.objective."""

_DTYPES = {ShapeFields: SHAPE, ArrayFields: ARRAY, TilingFields: TILING}


@cached(256)
def shape_record(product: Product, batch: int) -> NDArray[np.void]:
    """Return the SHAPE of `batch` samples of a product; all accelerators share the record, so nothing writes to it."""
    window = product.convolution
    geometry = window.geometry
    (out_rows, out_cols), (top, _, left, _) = window.output, geometry.pads
    (stride_h, stride_w), taps = geometry.stride, window.taps
    span_h, span_w = (
        max(dilation * (kernel - 1) + 1, stride)
        for dilation, kernel, stride in zip(geometry.dilation, geometry.kernel, geometry.stride, strict=True)
    )
    fields = ShapeFields(
        images=batch,
        out_rows=out_rows,
        out_cols=out_cols,
        rows=window.height,
        cols=window.width,
        stride_h=stride_h,
        stride_w=stride_w,
        span_h=span_h,
        span_w=span_w,
        top=top,
        left=left,
        channels=product.reduction // taps,
        taps=taps,
        filters=product.filters,
        groups=product.groups,
        a_bits=product.a_bits,
        w_bits=product.stored_w_bits,
        out_bits=product.out_bits,
        mask_bits=ceil_div(product.regions * batch, product.groups),
    )
    return record(fields)


def array_record(
    accelerator: Accelerator,
    rate: Rate,
    extents: Extents,
    ports: PortLimits,
    whole: FoldOverheads,
    cut: FoldOverheads,
) -> NDArray[np.void]:
    """Return the ARRAY of an accelerator; `whole` and `cut` are a fold's overheads with whole and with cut channels."""
    pads = accelerator.scratchpads
    fields = ArrayFields(
        streamed=accelerator.dataflow.streamed,
        m_extent=extents.pixels,
        n_extent=extents.filters,
        k_extent=extents.channels,
        n_spatial=extents.filters_spatial,
        k_spatial=extents.channels_spatial,
        products=rate.products,
        wavefront_cycles=ports.wavefront_cycles,
        fold_overhead=whole.exposed,
        fold_overhead_cut=cut.exposed - whole.exposed,
        min_fold_interval=whole.min_interval,
        first_load=whole.load,
        last_drain=whole.fill_drain,
        ifmap_capacity=pads.ifmap.usable_bits,
        weight_capacity=pads.weight.usable_bits,
        ofmap_capacity=pads.ofmap.usable_bits,
        psum_bits=accelerator.psum_bits,
        bandwidth=accelerator.dram.bandwidth_bytes_per_cycle * 8,
        latency=accelerator.dram.latency_cycles,
        objective=_OBJECTIVES[accelerator.optimize],
    )
    return record(fields)
