"""Caches of pure functions: bounded, and cleared in one place.

No result depends on a cache; time and memory do. Every cache of hwsim is made by `cached` or `per_object`, or is
registered with `on_clear`, so that `clear` empties all of them.

>>> @cached(2)
... def square(n: int) -> int:
...     return n * n
>>> square(3), square(3)
(9, 9)
>>> clear()
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")

_clear: list[Callable[[], Any]] = []


def cached(maxsize: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: store the last `maxsize` results of a pure function of hashable arguments."""

    def remember(function: Callable[P, R]) -> Callable[P, R]:
        remembered = lru_cache(maxsize=maxsize)(function)
        on_clear(remembered.cache_clear)
        return remembered  # type: ignore[return-value]

    return remember


def per_object(key: type[K], value: type[V]) -> WeakKeyDictionary[K, V]:
    """Return a dictionary whose entries live as long as their keys, such as networks and their compiled programs."""
    made: WeakKeyDictionary[K, V] = WeakKeyDictionary()
    on_clear(made.clear)
    return made


def on_clear(action: Callable[[], Any]) -> None:
    """Call `action` whenever the caches are cleared."""
    _clear.append(action)


def clear() -> None:
    """Empty every cache."""
    for action in _clear:
        action()
