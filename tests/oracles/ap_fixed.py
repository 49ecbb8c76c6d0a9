"""Oracle: the fixed-point types of high-level synthesis (ap_fixed.h, from the wheel hls4ml). Profile hq1."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import LOGITS, Format, QTensor
from hwsim.network.layer import Accumulator, Geometry, Layer, Op, Overflow, Requantizer, Rounding
from tests.oracles.adversary import Rng
from tests.oracles.case import Case
from tests.oracles.group import Group, Oracle

SOURCE = Path(__file__).with_name("ap_fixed_driver.cpp")
BUILD = Path("build/oracles")

QUANTIZATION = {
    "AP_TRN": Rounding.FLOOR,
    "AP_TRN_ZERO": Rounding.TRUNC,
    "AP_RND": Rounding.HALF_UP,
    "AP_RND_INF": Rounding.HALF_AWAY,
    "AP_RND_CONV": Rounding.HALF_EVEN,
}
"""Quantization mode -> rounding of HQ1."""

FORMATS = ((0, 7), (1, 8), (2, 4), (3, 2), (5, 12), (8, 8), (13, 16), (20, 3), (31, 8), (37, 5))
"""(dropped fraction bits, bits of the code) for which the driver is compiled."""

SCALED_FORMATS = ((36, 8), (40, 4), (47, 8), (54, 8), (62, 2))
"""(dropped fraction bits, bits of the code) after a 31-bit multiplier."""

WIDTHS = (8, 11, 16, 17, 24, 31, 32, 33, 40, 48)
"""Accumulator widths for which the driver is compiled."""

OVERFLOW = {"wrap": Overflow.WRAP, "step": Overflow.SATURATE_STEP, "end": Overflow.SATURATE_END}

SUM = Format(48, signed=True)


def version() -> str:
    """Return the versions of the wheel with the headers and of the compiler."""
    from importlib.metadata import version

    compiler = subprocess.run([_compiler(), "-dumpfullversion"], capture_output=True, check=True, text=True)
    return f"hls4ml {version('hls4ml')}, g++ {compiler.stdout.strip()}"


def available() -> bool:
    """Return True if the headers and a compiler are installed."""
    return find_spec("hls4ml") is not None and shutil.which("g++") is not None


def _compiler() -> str:
    found = shutil.which("g++")
    assert found, "no g++"
    return found


@cache
def driver() -> Path:
    """Return the compiled driver; it is compiled again when its source or the headers change."""
    spec = find_spec("hls4ml")
    assert spec and spec.origin, "hls4ml is not installed"
    headers = Path(spec.origin).parent / "templates/vivado/ap_types"
    content = SOURCE.read_bytes() + b"".join(p.read_bytes() for p in sorted(headers.glob("*.h")))
    path = BUILD / f"ap_fixed_{hashlib.sha256(content).hexdigest()[:16]}"
    if not path.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        command = [_compiler(), "-O1", "-std=c++17", "-w", "-I", str(headers), str(SOURCE), "-o", str(fresh)]
        subprocess.run(command, check=True)
        fresh.rename(path)
    return path


def run_driver(words: list[str | int], *arrays: NDArray[np.integer]) -> NDArray[np.int64]:
    """Run the driver with a command line and int64 arrays; return its output, int64."""
    sent = b"".join(np.ascontiguousarray(a, dtype=np.int64).tobytes() for a in arrays)
    expected = subprocess.run([driver(), *map(str, words)], input=sent, capture_output=True, check=True)
    return np.frombuffer(expected.stdout, np.int64)


def rounding(rng: Rng, samples: int, mode: str, overflow: str) -> Iterator[Case]:
    """Yield 48-bit sums that lose fraction bits: ties, near ties, random sums, and both ends of the accumulator."""
    for shift, bits in FORMATS:
        for signed in (1, 0) if overflow == "AP_SAT" else (1,):
            x, w, bias = _sums(rng, samples, shift, bits)
            output = Format(bits, bool(signed), narrow_range=overflow == "AP_SAT_SYM")
            shown = SUM if overflow == "AP_WRAP" else output
            one, shifts = np.ones(1, np.int64), np.array([shift])
            layer = Layer(
                "layer",
                Op.LINEAR,
                ("input",),
                shown,
                weight=QTensor(w, Format(16, signed=True)),
                bias=bias,
                requantizer=Requantizer(one, shifts, shown.qmin, shown.qmax, QUANTIZATION[mode]),
                accumulator=Accumulator(48),
            )
            expected = round_products(mode, overflow, (shift, bits), signed, x * w[:, 0] + bias, one)
            wrapped = bits if overflow == "AP_WRAP" else 0
            yield Case(layer, (Format(16, signed=True),), (x,), expected.reshape(len(x), len(w)), wrapped)


def scaling(rng: Rng, samples: int, mode: str) -> Iterator[Case]:
    """Yield 32-bit sums times 31-bit multipliers: exact ties for short multipliers, else near ties."""
    for shift, bits in SCALED_FORMATS:
        for signed in (1, 0):
            output = Format(bits, bool(signed))
            multiplier, bias = _scaled_sums(rng, shift, output)
            x = rng.integers(-3, 4, (samples, 1)) * rng.integers(0, 2, (samples, 1))
            w = np.ones((64, 1), np.int64)
            r = Requantizer(multiplier, np.full(64, shift), output.qmin, output.qmax, QUANTIZATION[mode])
            layer = Layer(
                "layer",
                Op.LINEAR,
                ("input",),
                output,
                weight=QTensor(w, Format(16, signed=True)),
                bias=bias,
                requantizer=r,
            )
            expected = round_products(mode, "AP_SAT", (shift, bits), signed, x * w[:, 0] + bias, multiplier)
            yield Case(layer, (Format(16, signed=True),), (x,), expected.reshape(samples, 64))


def _scaled_sums(rng: Rng, shift: int, output: Format) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw 64 multipliers and sums whose products are ties, exact in every second channel."""
    multiplier = rng.integers(1 << 30, 1 << 31, 64)
    multiplier[1] = (1 << 31) - 1
    half = rng.integers(output.qmin - 3, output.qmax + 3, 64) + 0.5
    sums = np.rint(half * 2.0**shift / multiplier).astype(np.int64)
    for channel in range(0, 64, 2):
        odd = int(rng.choice([1, 1, 1, 3, 5, 7, 11, 27]))
        limit_half = output.qmax // odd + 1
        multiplier[channel] = odd << (31 - odd.bit_length())
        sums[channel] = (2 * rng.integers(-limit_half, limit_half) + 1) << (shift - 32 + odd.bit_length())
    limit = (1 << 31) - 4  # the operand adds at most 3
    return multiplier, np.where(np.abs(sums) <= limit, sums, rng.integers(-limit, limit, 64))


def round_products(
    mode: str,
    overflow: str,
    format: tuple[int, int],
    signed: int,
    sums: NDArray[np.int64],
    multiplier: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the driver's rounding of sums times multipliers."""
    return run_driver(
        ["round", mode, overflow, *format, signed], np.stack(np.broadcast_arrays(sums, multiplier), axis=-1)
    )


def _sums(rng: Rng, samples: int, shift: int, bits: int) -> tuple[NDArray[np.int64], ...]:
    """Draw operands x [sample, 1], w [64, 1] and biases with sums x * w + bias near ties of a shift."""
    x = rng.integers(-3, 4, (samples, 1))
    x[:: max(samples // 8, 2)] = rng.integers(-(1 << 15), 1 << 15, x[:: max(samples // 8, 2)].shape)
    half = 1 << max(shift - 1, 0)
    w = np.ones((64, 1), np.int64)
    w[::4] = min(half, 1 << 14)  # each step alternates between a tie and a whole number
    w[3::8] = rng.integers(-(1 << 15), 1 << 15, w[3::8].shape)
    reach = 1 << bits
    bias = rng.integers(-reach, reach, 64) * half
    bias[2::8] += rng.integers(-2, 3, 8)
    bias[5::16] = rng.integers(-(1 << 46), 1 << 46, 4)
    ends = rng.choice([-1, 1], 4) * ((1 << 47) - 1)
    bias[7::16] = ends - np.sign(ends) * (1 << 15) * np.abs(w[7::16, 0])
    return x, w, bias


def dot(rng: Rng, samples: int, overflow: str, op: Op) -> Iterator[Case]:
    """Yield sums of products in accumulators of 8 to 48 bits, some of which overflow."""
    for width in WIDTHS:
        bits_x = min(max((width - 3) // 2 + 1, 2), 16)
        bits_w = min(max(width - 3 - bits_x + 2, 2), 16)
        formats = Format(bits_x, signed=True), Format(bits_w, signed=True)
        geometry = Geometry((2, 3), (1, 2), (1, 0)) if op is Op.CONV else Geometry()
        shapes = [(samples, 4, 6, 9), (8, 4, 2, 3)] if op is Op.CONV else [(samples, 24), (40, 24)]
        x, w = (rng.integers(f.qmin, f.qmax + 1, shape) for f, shape in zip(formats, shapes, strict=True))
        ends = rng.random(w.shape[0]) < 0.3
        w[ends] = formats[1].qmin
        x[::5] = np.where(rng.random(x[::5].shape) < 0.9, formats[0].qmin, formats[0].qmax)
        limit = (1 << (width - 1)) - 1
        bias = np.where(rng.random(len(w)) < 0.5, rng.uniform(-limit, limit, len(w)), rng.choice([-limit, limit]))
        layer = Layer(
            "layer",
            op,
            ("input",),
            LOGITS if width <= LOGITS.bits else SUM,
            weight=QTensor(w, formats[1]),
            bias=bias.astype(np.int64),
            geometry=geometry,
            accumulator=Accumulator(width, OVERFLOW[overflow]),
        )
        rows = _patches(x, geometry) if op is Op.CONV else x
        columns = w.transpose(0, 2, 3, 1).reshape(len(w), -1) if op is Op.CONV else w
        expected = run_driver(["dot", overflow, width, *rows.shape, len(w)], rows, columns, layer.bias)
        if op is Op.CONV:
            size = geometry.output_size(*x.shape[2:])
            expected = expected.reshape(len(x), *size, len(w)).transpose(0, 3, 1, 2)
        yield Case(layer, (formats[0],), (x,), expected.reshape(len(x), len(w), *expected.shape[2:]))


def _patches(x: NDArray[np.int64], g: Geometry) -> NDArray[np.int64]:
    """Return one row per output pixel, its terms in the order (kernel row, kernel column, channel)."""
    (top, left), (rows, columns) = g.padding, g.output_size(*x.shape[2:])
    padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    patches = [
        padded[n, :, i * g.stride[0] : i * g.stride[0] + g.kernel[0], j * g.stride[1] : j * g.stride[1] + g.kernel[1]]
        for n in range(len(x))
        for i in range(rows)
        for j in range(columns)
    ]
    return np.stack(patches).transpose(0, 2, 3, 1).reshape(len(patches), -1)


def _groups() -> Iterator[Group]:
    policies = {"AP_WRAP": "then wrap", "AP_SAT": "clip", "AP_SAT_SYM": "clip, narrow range"}
    for mode, rule in QUANTIZATION.items():
        for overflow, policy in policies.items():
            cases = partial(rounding, mode=mode, overflow=overflow)
            yield Group("hq1", f"{mode}, {overflow}: 2 to 16 bits", f"{rule}, {policy}", cases, samples=512, golden=4)
    for mode, rule in QUANTIZATION.items():
        made: Callable[[Rng, int], Iterator[Case]] = partial(scaling, mode=mode)
        yield Group("hq1", f"{mode}, AP_SAT: 31-bit multipliers", f"{rule}, clip", made, samples=512, golden=4)
    names = {"wrap": "AP_WRAP", "step": "AP_SAT at every addition", "end": "AP_SAT of the exact sum"}
    for overflow, name in names.items():
        for op in (Op.LINEAR, Op.CONV):
            made = partial(dot, overflow=overflow, op=op)
            what = f"{name}: {op} sums of 8 to 48 bits"
            yield Group("hq1", what, f"{OVERFLOW[overflow]}", made, samples=256 if op is Op.LINEAR else 32)


ORACLE = Oracle("ap_fixed", "hls4ml", version, tuple(_groups()))
