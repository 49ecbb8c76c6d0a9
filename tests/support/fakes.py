"""Registry members without training, for tests of designs and studies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from hwsim.checksums import file_checksum
from hwsim.registry import Configurable, Record


class FakeData(Configurable):
    """A data set that reads the file FAKE_DATA, where this variable is set."""

    noise: float = 0.0

    def checksums(self) -> Mapping[str, str]:
        file = os.environ.get("FAKE_DATA")
        return {"data.bin": file_checksum(Path(file))} if file else {}


class FakeModel(Configurable):
    width: int = Field(8, ge=1)


class FakeQuantizer(Configurable):
    integer: ClassVar[bool] = True
    w_bits: int = Field(8, ge=1, le=8)
    a_bits: int = Field(8, ge=1, le=8)


class OtherQuantizer(Configurable):
    integer: ClassVar[bool] = True
    steps: int = 10


class NoQuantizer(Configurable):
    integer: ClassVar[bool] = False


class FakePE(Configurable):
    name: str = "fixed"
    max_bits: int = 8


class FakeAccelerator(Configurable):
    rows: int = Field(16, ge=1)
    cols: int = Field(16, ge=1)
    pe: FakePE = FakePE()


class FakeTechnology(Configurable):
    vdd_v: float = 1.1


class FakeChannel(Configurable):
    pass


class FakeAttack(Configurable):
    min_models: ClassVar[int] = 4
    needs: ClassVar[tuple[str, ...]] = ("logits",)
    label: ClassVar[str] = "fake_loss"


class FakeLatencyAttack(Configurable):
    min_models: ClassVar[int] = 6
    needs: ClassVar[tuple[str, ...]] = ("latency_cycles",)
    label: ClassVar[str] = "fake_latency"


_MEMBERS = [
    ("dataset", "fake_data", FakeData, {}),
    ("model", "fake_model", FakeModel, {}),
    ("quantizer", "fake_quantizer", FakeQuantizer, {}),
    ("quantizer", "other_quantizer", OtherQuantizer, {}),
    ("quantizer", "no_quantizer", NoQuantizer, {}),
    ("accelerator", "fake_array", FakeAccelerator, {"rows": 16, "pe": {"name": "fixed", "max_bits": 8}}),
    ("accelerator", "wide_array", FakeAccelerator, {"rows": 16, "cols": 32}),
    ("technology", "fake_node", FakeTechnology, {}),
    ("channel", "logits", FakeChannel, {}),
    ("channel", "latency_cycles", FakeChannel, {}),
    ("attack", "fake_loss", FakeAttack, {}),
    ("attack", "fake_latency", FakeLatencyAttack, {}),
]

BASE = {
    "dataset": "fake_data",
    "model": "fake_model",
    "quantizer": "fake_quantizer",
    "accelerator": "fake_array",
    "technology": "fake_node",
    "channels": ["logits"],
    "attacks": ["fake_loss"],
}


RECORDS = [
    Record(family, name, f"A stand-in for a {family}.\n\nMore.", "nobody, 2026", factory, defaults)
    for family, name, factory, defaults in _MEMBERS
]
"""The records, with help and citation."""
