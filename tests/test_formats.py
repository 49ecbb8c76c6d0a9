"""Formats: ranges, decoding, dtypes, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import BadInput
from hwsim.formats import LOGITS, Format, Kind, QTensor


@pytest.mark.parametrize("bits", range(1, 17))
def test_ranges(bits):
    unsigned, signed = Format(bits), Format(bits, signed=True)
    assert (unsigned.qmin, unsigned.qmax) == (0, 2**bits - 1)
    assert (signed.qmin, signed.qmax) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if bits >= 2:
        narrow = Format(bits, signed=True, narrow=True)
        assert narrow.qmin == -narrow.qmax


@pytest.mark.parametrize(
    ("format", "dtype"),
    [(Format(7), np.int8), (Format(8), np.int16), (Format(8, signed=True), np.int8), (Format(15), np.int16),
     (Format(16), np.int32), (LOGITS, np.int32), (Format(32), np.int64)],
)  # fmt: skip
def test_dtype_is_the_smallest_that_holds_every_code(format, dtype):
    assert format.dtype == dtype


def test_magnitude_is_that_of_the_farthest_value():
    assert Format(8, zero_point=200).max_magnitude == 200
    assert Format(8, signed=True, zero_point=100).max_magnitude == 228
    assert Format(1, kind=Kind.BINARY).max_magnitude == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"bits": 0},
        {"bits": 49},
        {"bits": 8, "narrow": True},
        {"bits": 1, "signed": True, "narrow": True},
        {"bits": 4, "zero_point": 16},
        {"bits": 4, "zero_point": -1},
        {"bits": 2, "kind": Kind.BINARY},
        {"bits": 1, "kind": Kind.BINARY, "zero_point": 1},
    ],
)
def test_formats_that_are_refused(fields):
    with pytest.raises(BadInput, match="format"):
        Format(**fields)


def test_codes_outside_the_format_are_named():
    with pytest.raises(BadInput, match="tensor: got 8; allowed: codes -8 to 7"):
        QTensor(np.array([0, 8, 7]), Format(4, signed=True))
    with pytest.raises(BadInput, match="tensor: got dtype float64"):
        QTensor(np.array([0.0]), Format(4))
    Format(4).require(np.zeros(0, dtype=int), "nothing")
