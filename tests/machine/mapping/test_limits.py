"""Huge numbers: refused at once with the limit, or counted exactly; a long search ends on Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import BadInput, HwsimError, Infeasible
from hwsim.machine.layer_report import layer_reports
from hwsim.machine.mapping import limits
from hwsim.machine.mapping.mapping import derive_mapping, interruptible
from hwsim.machine.timing.layer_counts import product_layer
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.machine.trace.timeline import timeline
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, conv_product
from hwsim.registry import build
from tests.support.machines import make

SIDE = (1 << 31) - 1
TPU = build("accelerator", "tpu_like")


@pytest.mark.parametrize(
    ("product", "words"),
    [
        (conv_product(1, 1, SIDE, SIDE, Geometry((3, 3))), "its input has 36,893,488,113,059,364,872 bits"),
        (conv_product(SIDE, SIDE, 1, 1), "its second operand has"),
        (Product(SIDE, SIDE, SIDE), "the limit is 1,099,511,627,776"),
        (Product(SIDE, 1, SIDE), "its output has"),
        (Product(1, 1, 1, groups=1 << 60), "the limit is 1,099,511,627,776"),
        (Product(10**30, 1, 1), "the limit is 1,099,511,627,776"),
        (Product(1 << 18, 1 << 18, 1 << 18, groups=1, a_bits=1, w_bits=1, out_bits=1), None),
        (Product(1 << 19, 1 << 19, 1 << 19, groups=1, a_bits=1, w_bits=1, out_bits=1), "products for 1 samples"),
    ],
)
def test_a_layer_beyond_the_limit_is_refused_with_the_limit(product: Product, words: str | None) -> None:
    if words is None:
        limits.check_size(product, 1)
        return
    with pytest.raises(Infeasible) as caught:
        derive_mapping(TPU, product)
    assert words in str(caught.value)


@pytest.mark.parametrize("batch", [0, -1, limits.MAX_BATCH + 1, 10**12])
def test_a_batch_has_a_limit(batch: int) -> None:
    for call in (
        lambda: layer_reports(TPU, [("a", Product(1, 1, 1))], batch),
        lambda: derive_mapping(TPU, Product(1, 1, 1), batch),
    ):
        with pytest.raises(BadInput, match=r"batch: got .*; allowed: 1 to 1,048,576"):
            call()


@pytest.mark.parametrize(
    "changes",
    [
        {"array": {"rows": 10**9}},
        {"array": {"row_fifo_depth": 10**9}},
        {"scratchpads": {"ifmap": {"kib": 10**9}}},
        {"scratchpads": {"weight": {"banks": 10**9}}},
        {"dram": {"bandwidth_bytes_per_cycle": 10**18}},
        {"dram": {"latency_cycles": 10**18}},
        {"vector": {"lanes": 10**18}},
        {"clock": "9999999999 GHz"},
        {"clock": "9" * 400 + " Hz"},
    ],
)
def test_every_number_of_an_accelerator_has_a_limit(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        make(changes)


def test_groups_cost_no_time_and_are_counted_exactly() -> None:
    """A million equal groups: each further group takes the cycles of the third."""
    one = Product(4, 9, 8, groups=1)
    cycles = [int(time_layer(TPU, derive_mapping(TPU, replace(one, groups=g))).total[0]) for g in (2, 3, 1 << 20)]
    assert cycles[2] == cycles[0] + ((1 << 20) - 2) * (cycles[1] - cycles[0])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 31), min_size=4, max_size=4), st.sampled_from(["ws", "os", "is"]), st.integers(0, 20))
def test_sizes_of_any_magnitude_are_refused_or_counted_in_64_bits(powers: list[int], flow: str, batch: int) -> None:
    """No count is negative, and the products are those of Python's integers."""
    m, k, n, g = (1 << power for power in powers)
    accelerator = make({"dataflow": flow, "array": {"rows": 64, "cols": 64}, "scratchpads": BIG})
    product = Product(m, k, n, groups=g)
    try:
        mapping = derive_mapping(accelerator, product, 1 << batch)
        cycles, counts = product_layer(accelerator, mapping)
    except HwsimError:
        return
    numbers = {name: int(np.asarray(value).item()) for name, value in (cycles | counts).items()}
    assert min(numbers.values()) >= 0
    assert numbers["macs_full"] == product.macs << batch
    assert numbers["pe_busy_cycles"] <= numbers["pe_cycles"]


BIG = {pad: {"kib": 1024} for pad in ("ifmap", "weight", "ofmap")}


def test_a_timeline_of_too_many_steps_is_refused() -> None:
    with pytest.raises(Infeasible, match=r"layer 'a': .* steps; a timeline has at most 67,108,864"):
        timeline(TPU, [("a", Product(1, 1, 1, groups=1 << 27))])


def test_a_search_in_a_thread_returns_and_raises() -> None:
    assert interruptible(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0)


def test_ctrl_c_ends_a_long_search() -> None:
    """A kernel that would run for a minute; the signal comes once it runs."""
    code = """
import signal, threading, time, os
signal.signal(signal.SIGINT, signal.default_int_handler)
from hwsim.machine.mapping.mapping import interruptible
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    interruptible(lambda: time.sleep(60))
except KeyboardInterrupt:
    print("heard")
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "heard\n", done.stderr
    assert time.monotonic() - started < 45
