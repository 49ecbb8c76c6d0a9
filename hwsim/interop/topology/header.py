"""Header of a topology file: which form it has, and what each of its columns contains."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwsim.errors import BadInput, UnknownName
from hwsim.interop.topology.rows import CONV, GEMM, Form, is_number

IGNORED = ""
"""Name of a column without effect."""

STRIDE_ROWS, STRIDE_COLS, BATCH = "Stride rows", "Stride columns", "Batch size"
"""Columns that are not passed on: two strides become one cell, and the batch must be 1."""

_SYNONYMS = {
    "layer": "layername",
    "layers": "layername",
    "name": "layername",
    "ifmaph": "ifmapheight",
    "ifmapw": "ifmapwidth",
    "inputheight": "ifmapheight",
    "inputwidth": "ifmapwidth",
    "filterh": "filterheight",
    "filterw": "filterwidth",
    "kernelheight": "filterheight",
    "kernelwidth": "filterwidth",
    "numchannels": "channels",
    "inputchannels": "channels",
    "channel": "channels",
    "filters": "numfilter",
    "numfilters": "numfilter",
    "numberoffilters": "numfilter",
    "outputchannels": "numfilter",
    "stride": "strides",
    "strideheight": "striderows",
    "strideh": "striderows",
    "stridewidth": "stridecolumns",
    "stridew": "stridecolumns",
    "stridecols": "stridecolumns",
    "batch": "batchsize",
    "sparsityratio": "sparsity",
    "sparsitysupport": "sparsity",
    "dilations": "dilation",
    "group": "groups",
    "pad": "padding",
}
"""Other spellings of column names, as `column_key` returns them."""


@dataclass(frozen=True)
class Header:
    """Columns of a file.

    Attributes
    ----------
    form : form of the file
    columns : name of each column in the spelling of the form, IGNORED for a column without effect
    notes : what was guessed or is ignored
    is_layer : the line that was read as a header is the first layer, the file has none
    """

    form: Form
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    is_layer: bool = False


def column_key(name: str) -> str:
    """Return a column name in lower case, letters and digits only, with synonyms replaced.

    >>> column_key("IFMAP_Height "), column_key("Num Filters")
    ('ifmapheight', 'numfilter')
    """
    key = "".join(character for character in name.lower() if character.isalnum())
    return _SYNONYMS.get(key, key)


def read_header(cells: Sequence[str], where: str) -> Header:
    """Return the columns of a file whose first line is `cells`.

    Columns are identified by name. Where the names do not give every required column, but none of them contradicts
    SCALE-Sim's order, columns are read by their position, as SCALE-Sim does. Raises BadInput or UnknownName for a name
    that is nearly the name of a column, and for a file that has neither names nor SCALE-Sim's order.
    """
    cells = list(cells)
    while not cells[-1]:
        cells.pop()
    if len(cells) > 1 and is_number(cells[1]):
        return _without_names(cells, where)
    if len(cells) == 1:
        raise BadInput(where, cells[0], "columns with commas, tabs or semicolons between them")
    keys = [column_key(cell) for cell in cells]
    gemm = {"m", "n", "k"}
    form = GEMM if gemm <= set(keys) or (len(keys) <= 5 and gemm & set(keys)) else CONV
    known = {column_key(column): column for column in (*form.columns, STRIDE_ROWS, STRIDE_COLS, BATCH)}
    required = [column_key(column) for column in form.required]
    notes: list[str] = []
    named = {"strides", *keys} if {"striderows", "stridecolumns"} <= set(keys) else set(keys)
    if not set(required) <= named or any(keys.count(key) > 1 for key in required):
        if _in_order(keys, required, known):
            keys = [*required, *("stridecolumns" if key == "strides" else key for key in keys[len(required) :])]
            notes.append(f"columns read by position, as SCALE-Sim does: {', '.join(form.required)}")
        elif set(required) <= named or all(key in known for key in keys):
            _check_once(cells, keys, where)
            missing = next(known[key] for key in required if key not in named)
            raise BadInput(where, f"no column {missing}", f"{', '.join(form.required)}, in any order")
        else:
            at = next(at for at, key in enumerate(keys) if key not in known)
            raise UnknownName(f"{where}, column {at + 1}", cells[at] or "no name", form.columns)
    _check_once(cells, [key if key in known else str(at) for at, key in enumerate(keys)], where)
    for at, key in enumerate(keys):
        if key not in known and (key in _EVERY or difflib.get_close_matches(key, known, n=1, cutoff=0.75)):
            raise UnknownName(f"{where}, column {at + 1}", cells[at], form.columns)
    columns = tuple(known.get(key, IGNORED) for key in keys)
    ignored = [cell or f"column {at + 1}" for at, cell in enumerate(cells) if columns[at] == IGNORED]
    if ignored:
        notes.append(f"columns without effect: {', '.join(ignored)}")
    order = [keys.index(key) for key in required if key in keys]
    if order != sorted(order):
        notes.append(f"columns read by name; SCALE-Sim reads by position: {', '.join(form.required)}")
    return Header(form, columns, tuple(notes))


_EVERY = {column_key(column) for form in (CONV, GEMM) for column in form.optional}
"""Keys of the optional columns of both forms."""


def _check_once(cells: Sequence[str], keys: Sequence[str], where: str) -> None:
    """Raise BadInput for a column that occurs a second time."""
    for at, key in enumerate(keys):
        if key in keys[:at]:
            raise BadInput(f"{where}, column {at + 1}", f"{cells[at]} a second time", "each column once")


def _in_order(keys: Sequence[str], required: Sequence[str], known: Mapping[str, str]) -> bool:
    """Return whether the first columns are SCALE-Sim's in its order, some under another name.

    At least half of them have their own name, and none has the name of a column that is elsewhere.
    """
    first, rest = keys[: len(required)], keys[len(required) :]
    own = [key for key, expected in zip(first, required, strict=False) if key == expected]
    foreign = [key for key, expected in zip(first, required, strict=False) if key != expected and key in known]
    at_home = all(key in own for key in foreign) and not set(rest) & (set(required) - {"strides"})
    return len(first) == len(required) and 2 * len(own) >= len(required) and at_home


def _without_names(cells: Sequence[str], where: str) -> Header:
    """Return the columns of a file without a header, in SCALE-Sim's order."""
    numbers = [is_number(cell) for cell in cells[1:] if cell]
    for form in (CONV, GEMM):
        if len(numbers) == len(cells) - 1 == len(form.required) - 1 and all(numbers):
            columns = ", ".join(form.required)
            note = f"no header, columns read by position: {columns}; the first line is a layer (SCALE-Sim skips it)"
            return Header(form, form.required, (note,), is_layer=True)
    allowed = f"a header first: {', '.join(CONV.required)}; or {', '.join(GEMM.required)}"
    raise BadInput(where, "a row of numbers", allowed)
