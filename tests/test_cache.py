"""The caches of pure functions: found in one place, and no result depends on them."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import hwsim
from hwsim.cache import cached, clear, on_clear, per_object
from hwsim.interop.topology.builtin import load_workload
from hwsim.machine.activity.sampling import conv_sequence
from hwsim.machine.layer_report import layer_reports
from hwsim.network.layer import Geometry
from hwsim.registry import build

ROOT = Path(hwsim.__file__).parent
FORBIDDEN = {"lru_cache", "cache", "WeakKeyDictionary", "WeakValueDictionary"}
"""Names of `functools` and `weakref` that make a cache which `clear` does not know."""


def names_of_caches(path: Path) -> Iterator[str]:
    """Names in FORBIDDEN that a module imports from `functools` or `weakref`, or reads as their attributes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in ("functools", "weakref"):
            yield from (alias.name for alias in node.names if alias.name in FORBIDDEN)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("functools", "weakref"):
            yield from {node.attr} & FORBIDDEN


def test_only_one_module_makes_caches() -> None:
    wrong = {str(path.relative_to(ROOT)): list(names_of_caches(path)) for path in ROOT.rglob("*.py")}
    assert wrong.pop("cache.py")  # the search finds what it searches for
    assert {path: names for path, names in wrong.items() if names} == {}


def test_cached_is_bounded_and_cleared() -> None:
    calls: list[int] = []

    @cached(2)
    def square(n: int) -> int:
        calls.append(n)
        return n * n

    assert [square(n) for n in (1, 2, 1, 2)] == [1, 4, 1, 4] and calls == [1, 2]
    square(3)
    square(1)
    assert calls == [1, 2, 3, 1]  # 1 was the oldest of three
    clear()
    square(1)
    assert calls == [1, 2, 3, 1, 1]


def test_entries_per_object_end_with_their_key_and_with_clear() -> None:
    class Key: ...

    entries, key, other = per_object(Key, int), Key(), Key()
    entries[key], entries[other] = 1, 2
    del other
    gc.collect()
    assert list(entries.values()) == [1]
    clear()
    assert not entries


def test_clear_calls_every_registered_action() -> None:
    called: list[str] = []
    on_clear(lambda: called.append("first"))
    on_clear(lambda: called.append("second"))
    clear()
    assert called == ["first", "second"]


def test_results_are_equal_before_and_after_clear() -> None:
    layers = [(layer.name, layer.product) for layer in load_workload("resnet18").layers[:4]]
    accelerator = build("accelerator", "tpu_like")
    before, stream = layer_reports(accelerator, layers), conv_sequence(5, 6, Geometry((3, 3)))
    assert conv_sequence(5, 6, Geometry((3, 3))) is stream
    clear()
    again = conv_sequence(5, 6, Geometry((3, 3)))
    assert again is not stream
    np.testing.assert_array_equal(again.pixels, stream.pixels)
    assert layer_reports(accelerator, layers) == before
