"""Progress callbacks that interrupt a training, and the comparison of what it ends with."""

from __future__ import annotations

import torch


class Stopped(Exception):
    """Raised by StopAfter in place of a kill."""


class StopAfter:
    """A progress callback that counts epochs and raises Stopped at the end of epoch number `epochs`, if given."""

    def __init__(self, epochs: int | None = None) -> None:
        self.last, self.run = epochs, 0

    def __call__(self, done: float) -> None:
        self.run += 1
        if self.run == self.last:
            raise Stopped


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name
