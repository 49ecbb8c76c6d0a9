"""Rows of variable speed: masks that all rows share, masks of their own in lock-step, and elastic rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

import hwsim
from hwsim.kernels.machine import row_sync
from hwsim.machine.run import Run
from hwsim.reference import walk_variable_rows
from tests.validation.machines import accelerator
from tests.validation.pictures import pictures, plain_network, region_networks
from tests.validation.rows import TREND, Group, Row, Section

Steps = NDArray[np.uint8]

WAVEFRONTS, WALKED, ROWS = 20_000, 400, 16
FULL, LOW = 4, 1
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
DEPTHS = (0, 1, 2, 4, 8)
SAMPLES, NETWORK_SHARES, NETWORK_DEPTH = 8, (0.1, 0.3), 2
SAMPLED = "the formula is a mean, ours one draw of masks"
WALK = "hwsim.reference, which walks through the rows cycle by cycle"
BORDERS = "rows of a fold cover several taps, whose windows cross the borders of regions"
WAY = "folds are short here, and each begins with a wavefront's way through all rows, 1 to 4 cycles a row"
LOST = "rows of one wavefront differ, and all wait for the slowest"
CLAIM = "SDP (ACM TODAES 2023, doi 10.1145/3549535), abstract: irregular sensitive regions restrict DRQ's speed-up"


def groups() -> tuple[Group, ...]:
    """Closed forms, the plain walk, and a table of speed-ups."""
    return _closed_forms(), _walks()


def network_groups() -> tuple[Group, ...]:
    """What is left of it in a whole network."""
    return (_network(),)


def _random(share: float, shared: bool, wavefronts: int = WAVEFRONTS) -> Steps:
    """Steps [wavefront, row] with random masks."""
    sensitive = np.random.default_rng(0).random((wavefronts, 1 if shared else ROWS)) < share
    return np.broadcast_to(np.where(sensitive, FULL, LOW), (wavefronts, ROWS)).astype(np.uint8)


def _cycles(steps: Steps, depth: int | None) -> int:
    """One fold, without the skew of the first wavefront."""
    wavefronts, rows = steps.shape
    along = np.arange(wavefronts) * rows, np.arange(rows)
    if depth is None:
        return int(row_sync.lockstep(steps.reshape(1, -1), *along, rows)[0, 0, 0])
    return int(row_sync.elastic(steps.reshape(1, -1), *along, rows, depth)[0, 0, 0])


def _closed_forms() -> Group:
    rows = []
    for share in SHARES:
        shared = _random(share, shared=True)
        hot = int((shared[:, 0] == FULL).sum())
        expected = LOW * WAVEFRONTS + (FULL - LOW) * hot
        rows.append(Row(f"mask shared by all rows, p = {share}: 1 + 3p cycles", expected, _cycles(shared, None)))
    for share in SHARES:
        mean = WAVEFRONTS * (LOW + (FULL - LOW) * (1 - (1 - share) ** ROWS))
        cycles = _cycles(_random(share, shared=False), None)
        rows.append(
            Row(f"own masks in lock-step, p = {share}: 1 + 3 (1 - (1 - p)^{ROWS})", mean, float(cycles), SAMPLED)
        )
    return Group(
        f"{WAVEFRONTS:,} wavefronts on {ROWS} rows", "the closed form", tuple(rows), _kind(rows), note=_table()
    )


def _kind(rows: Sequence[Row]) -> str:
    worst = max(abs(row.ratio - 1) for row in rows if not row.equal)
    return f"exact where masks are shared, within {100 * worst:.1f} % of the mean where they are drawn"


def _table() -> str:
    """Speed over an array that does everything at full width."""
    arrays: list[tuple[str, bool, int | None]] = [("mask shared by all rows", True, None)]
    arrays += [("own masks, lock-step", False, None)]
    arrays += [(f"own masks, elastic, {depth} sums between rows", False, depth) for depth in DEPTHS]
    lines = [f"| speed-up at p = | {' | '.join(map(str, SHARES))} |", f"|---|{'---:|' * len(SHARES)}"]
    for name, shared, depth in arrays:
        found = [FULL * WAVEFRONTS / _cycles(_random(share, shared), depth) for share in SHARES]
        lines.append(f"| {name} | {' | '.join(f'{value:.2f}' for value in found)} |")
    head = "With masks of their own, rows in lock-step lose nearly all of the gain from p = 0.1 on; queues win "
    return "\n".join([f"{head}about half of it back.", "", *lines])


def _walks() -> Group:
    rows = []
    for depth in DEPTHS:
        theirs, ours = (sum(found) for found in zip(*_walked(depth), strict=True))
        rows.append(Row(f"elastic, {depth} sums between rows", theirs, ours))
    checked = len(DEPTHS) * len(SHARES)
    return Group(f"{WALKED} wavefronts on {ROWS} elastic rows: cycles", WALK, tuple(rows), checked=checked)


def _walked(depth: int) -> Iterator[tuple[int, int]]:
    for share in SHARES:
        steps = _random(share, shared=False, wavefronts=WALKED)
        yield int(walk_variable_rows(steps.astype(np.int64), depth)[1][-1, -1]), _cycles(steps, depth)


def _network() -> Group:
    """Array cycles of ResNet-20 at full width over those with regions."""
    codes = pictures(SAMPLES)
    lock_step, elastic = accelerator("drq"), accelerator("drq", array={"row_fifo_depth": NETWORK_DEPTH})
    wide = _streaming(hwsim.simulate(plain_network(codes, 8), lock_step, codes))
    rows = []
    for per_channel, name in ((False, "one mask for all channels"), (True, "a mask for each channel")):
        for share, network in zip(NETWORK_SHARES, region_networks(codes, NETWORK_SHARES, per_channel), strict=True):
            for machine, rows_are in ((lock_step, "lock-step"), (elastic, "elastic")):
                run = hwsim.simulate(network, machine, codes)
                bound = FULL / (LOW + (FULL - LOW) * _share(run))
                reason = WAY if machine is elastic else LOST if per_channel else BORDERS
                rows.append(Row(f"{name}, {rows_are}, p = {share}", bound, wide / _streaming(run), reason))
    note = """
`theirs` is here the bound 4 / (1 + 3p), p as it turned out, which no array beats. Cycles in which operands stream
or rows wait for each other; loading weights, fill and memory are left out."""
    kind = f"{TREND}: masks of their own lose most of the gain"
    return Group("ResNet-20 on pictures: speed over 8 bits throughout", CLAIM, tuple(rows), kind, note=note)


def _streaming(run: Run) -> float:
    return float(sum(run.cause(name).sum(axis=1).mean() for name in ("compute", "stall_rows")))


def _share(run: Run) -> float:
    """Of all products, those at full width, the first and the last layer included."""
    full, low = (float(run.event(f"macs_{width}").sum(axis=1).mean()) for width in ("full", "low"))
    return full / (full + low)


SECTION = Section(
    "rows of variable speed",
    """
What dynamic precision gains depends on how the rows of an array share their speed (`array.row_fifo_depth`). A
product takes 4 cycles at 8x8 bits and 1 at 4x4; masks are random here, p the sensitive share, one seed.
""",
    groups,
)
NETWORK = Section(
    "rows of variable speed, in a network",
    """
ResNet-20 with random weights on parts of two photographs, regions of 2x2 pixels, on `drq`: in lock-step, and elastic
with two sums between rows.
""",
    network_groups,
    quick=False,
)
SECTIONS = (SECTION, NETWORK)
