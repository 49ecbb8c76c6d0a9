"""Formats: ranges, decoding, dtypes, and invalid fields."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import BadInput
from hwsim.formats import LOGITS, TERNARY, Format, Kind, QTensor


@pytest.mark.parametrize("bits", range(1, 17))
def test_ranges(bits):
    unsigned, signed = Format(bits), Format(bits, signed=True)
    assert (unsigned.qmin, unsigned.qmax) == (0, 2**bits - 1)
    assert (signed.qmin, signed.qmax) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if bits >= 2:
        narrow = Format(bits, signed=True, narrow_range=True)
        assert narrow.qmin == -narrow.qmax


@pytest.mark.parametrize(
    ("format", "dtype"),
    [(Format(7), np.int8), (Format(8), np.int16), (Format(8, signed=True), np.int8), (Format(15), np.int16),
     (Format(16), np.int32), (LOGITS, np.int32), (Format(32), np.int64)],
)  # fmt: skip
def test_dtype_is_the_smallest_that_represents_every_code(format, dtype):
    assert format.dtype == dtype


@pytest.mark.parametrize("bits", range(1, 17))
def test_midrise_codes_are_evenly_spaced_around_zero(bits):
    midrise = Format(bits, kind=Kind.MIDRISE)
    values = midrise.decode(np.array([0, 1, midrise.qmax]))
    top = 2**bits - 1
    assert (
        values.tolist() == [-top, 2 - top, top] and midrise.value_range == (-top, top) and midrise.max_magnitude == top
    )
    every = midrise.decode(np.arange(midrise.qmax + 1))
    assert set(every % 2) == {1} and set(np.diff(every)) == {2} and every.sum() == 0
    if bits == 1:
        assert midrise.value_range == Format(1, kind=Kind.BINARY).value_range


def test_codebooks_look_up_their_integers():
    book = Format(2, kind=Kind.CODEBOOK, table=(7, -32768, 0, 32767))
    assert book.decode(np.array([[3, 1], [2, 0]], np.uint8)).tolist() == [[32767, -32768], [0, 7]]
    assert book.value_range == (-32768, 32767) and book.max_magnitude == 32768 and (book.qmin, book.qmax) == (0, 3)


def test_every_decoded_code_is_in_the_value_range():
    for format in (
        TERNARY, Format(5, zero_point=31), Format(5, signed=True, zero_point=-16), Format(1, kind=Kind.BINARY),
        Format(4, kind=Kind.MIDRISE), Format(1, kind=Kind.CODEBOOK, table=(-3, 9)), Format(1, signed=True),
    ):  # fmt: skip
        values = format.decode(np.arange(format.qmin, format.qmax + 1))
        assert (values.min(), values.max()) == format.value_range
        assert np.abs(values).max() == format.max_magnitude and values.dtype == np.int64


def test_formats_as_text():
    assert list(map(str, (Format(3), TERNARY, Format(8, signed=True, zero_point=-2)))) == [
        "uint3", "int2", "int8, zero point -2"]  # fmt: skip
    assert str(Format(1, kind=Kind.BINARY)) == "binary" and str(Format(7, kind=Kind.MIDRISE)) == "midrise of 7 bits"
    assert str(Format(1, kind=Kind.CODEBOOK, table=(0, 1))) == "codebook of 1 bits"


def test_the_magnitude_is_the_largest_absolute_value():
    assert Format(8, zero_point=200).max_magnitude == 200
    assert Format(8, signed=True, zero_point=100).max_magnitude == 228
    assert Format(1, kind=Kind.BINARY).max_magnitude == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"bits": 0},
        {"bits": 49},
        {"bits": 8, "narrow_range": True},
        {"bits": 1, "signed": True, "narrow_range": True},
        {"bits": 4, "zero_point": 16},
        {"bits": 4, "zero_point": -1},
        {"bits": 2, "kind": Kind.BINARY},
        {"bits": 1, "kind": Kind.BINARY, "zero_point": 1},
        {"bits": 1, "kind": Kind.BINARY, "signed": True},
        {"bits": 17, "kind": Kind.MIDRISE},
        {"bits": 4, "kind": Kind.MIDRISE, "signed": True},
        {"bits": 4, "kind": Kind.MIDRISE, "zero_point": 1},
        {"bits": 1, "kind": Kind.CODEBOOK, "signed": True, "table": (0, 1)},
        {"bits": 1, "kind": Kind.CODEBOOK, "zero_point": 1, "table": (0, 1)},
        {"bits": 17, "kind": Kind.CODEBOOK, "table": tuple([0] * 2**17)},
    ],
)
def test_invalid_formats(fields):
    with pytest.raises(BadInput, match="format"):
        Format(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"bits": 2, "table": (0, 1, 2, 3)}, r"table: got 4 entries; allowed: 2\^bits entries for a codebook"),
        ({"bits": 2, "kind": Kind.CODEBOOK}, "table: got 0 entries"),
        ({"bits": 2, "kind": Kind.CODEBOOK, "table": (0, 1, 2)}, "table: got 3 entries"),
        ({"bits": 1, "kind": Kind.CODEBOOK, "table": (0, 32768)}, "table: got 32768; allowed: integers of 16 bits"),
        ({"bits": 1, "kind": Kind.CODEBOOK, "table": (-32769, 0)}, "table: got -32769"),
    ],
)
def test_invalid_tables(fields, words):
    with pytest.raises(BadInput, match=words):
        Format(**fields)


def test_codes_outside_the_format_are_refused():
    with pytest.raises(BadInput, match="tensor: got 8; allowed: codes -8 to 7"):
        QTensor(np.array([0, 8, 7]), Format(4, signed=True))
    with pytest.raises(BadInput, match="tensor: got dtype float64"):
        QTensor(np.array([0.0]), Format(4))
    Format(4).require(np.zeros(0, dtype=int), "nothing")
