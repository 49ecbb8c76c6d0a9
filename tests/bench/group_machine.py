"""Machine models: timing without values against time limits, and simulation with toggles against execution alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice, product
from multiprocessing import get_context
from statistics import median

import numpy as np

from hwsim.interop.topology.builtin import load_workload
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.layer_report import layer_reports
from hwsim.machine.simulate import simulate
from hwsim.registry import build
from tests.bench.exact import exact_outputs, run_ours
from tests.bench.networks import random_images, resnet20
from tests.bench.row import Row
from tests.bench.threads import use_threads
from tests.bench.timing import interleave

DESIGNS = 10_000
PROCESSES = 2
LIMIT_MS = 2.0
LIMIT_SECONDS = 60.0
IMAGES = 256


def rows() -> Iterator[Row]:
    """Yield the rows of one design, of a sweep, and of simulations with activity."""
    yield one_design()
    yield sweep()
    use_threads()
    for name, regions, accelerator in (("ResNet-20", False, "tpu_like"), ("ResNet-20 DRQ 8/4", True, "drq_like")):
        yield counted(name, regions, accelerator)


def one_design() -> Row:
    """Return the row of one design; all designs differ, so that no cache helps."""
    times = []
    layers = _layers()
    for accelerator in islice(designs(), 200):
        start = time.perf_counter()
        layer_reports(accelerator, layers)
        times.append(1e3 * (time.perf_counter() - start))
    return Row("machine", "timing ResNet-18, one design", median(times), "limit", LIMIT_MS, "ms", 1.0, True)


def sweep() -> Row:
    """Return the row of the cycles of every layer of ResNet-18 on 10,000 accelerators, including their construction."""
    share = DESIGNS // PROCESSES
    start = time.perf_counter()
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        totals = list(pool.map(total_cycles, [range(p * share, (p + 1) * share) for p in range(PROCESSES)]))
    seconds = time.perf_counter() - start
    assert sum(map(len, totals)) == DESIGNS
    return Row("machine", f"ResNet-18 on {DESIGNS:,} designs", seconds, "limit", LIMIT_SECONDS, "s", 1.0, True)


def total_cycles(numbers: range) -> Sequence[int]:
    """Return the cycles of ResNet-18 on the designs with these numbers."""
    layers = _layers()
    chosen = islice(designs(), numbers.start, numbers.stop)
    return [sum(report.total_cycles for report in layer_reports(accelerator, layers)) for accelerator in chosen]


def designs() -> Iterator[Accelerator]:
    """Yield more than 10,000 different accelerators."""
    sizes = range(4, 68, 2)
    for dataflow, rows, cols, kib in product(("ws", "os"), sizes, sizes, (32, 64, 128, 256, 512)):
        array = {"rows": rows, "cols": cols}
        pads = {pad: {"kib": kib} for pad in ("ifmap", "weight", "ofmap")}
        yield build("accelerator", "tpu_like", dataflow=dataflow, array=array, scratchpads=pads)


def counted(name: str, regions: bool, accelerator_name: str) -> Row:
    """Return the row of outputs with cycles, counts, toggles and masks, against outputs alone."""
    network, accelerator = resnet20(regions=regions), build("accelerator", accelerator_name)
    codes = random_images(network, IMAGES)
    expected = exact_outputs(network, codes)
    calls = {
        "counted": lambda: np.asarray(simulate(network, accelerator, codes).outputs),
        "plain": partial(run_ours, network, codes),
    }
    times = interleave(calls, dict.fromkeys(calls, expected), seconds=10.0)
    rate = {side: IMAGES / value for side, value in times.items()}
    work = f"{name} with activity and masks"
    return Row("machine", work, rate["counted"], "our plain run", rate["plain"], "images/s", 0.5)


def _layers() -> list[tuple[str, object]]:
    return [(layer.name, layer.product) for layer in load_workload("resnet18").layers]
