"""Groups of the speed table: a group is a module `group_NAME.py` with `rows()`, and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tests.bench import (
    group_bits,
    group_ensemble,
    group_gemm,
    group_machine,
    group_memory,
    group_networks,
    group_portable,
    group_privacy,
    group_startup,
)
from tests.bench.row import Row

GROUPS: Mapping[str, Callable[[], Iterator[Row]]] = {
    "gemm": group_gemm.rows,
    "networks": group_networks.rows,
    "bits": group_bits.rows,
    "ensemble": group_ensemble.rows,
    "startup": group_startup.rows,
    "memory": group_memory.rows,
    "portable": group_portable.rows,
    "machine": group_machine.rows,
    "privacy": group_privacy.rows,
}
"""Name on the command line -> function that yields the group's rows, in the order of the table."""
