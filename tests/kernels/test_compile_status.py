"""The line that kernels are being compiled: only for kernels of hwsim, after two seconds in a process, once."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from hwsim.kernels import compile_status
from hwsim.kernels.compile_status import LINE, _Listener


def event(module: str) -> Any:
    return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=SimpleNamespace(__module__=module))})


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(compile_status, "status", found.append)
    monkeypatch.setattr(compile_status, "QUIET_SECONDS", 0.05)
    return found


def compile_for(listener: _Listener, seconds: float, module: str = "hwsim.kernels.some") -> None:
    listener.on_start(event(module))
    listener.on_start(event(module))  # a kernel that the first one calls
    listener.on_end(event(module))
    time.sleep(seconds)
    listener.on_end(event(module))


def test_a_long_compilation_is_announced_once(lines: list[str]) -> None:
    listener = _Listener()
    for _ in range(3):
        compile_for(listener, 0.3)
    assert lines == [LINE]


def test_many_short_compilations_are_announced_once(lines: list[str]) -> None:
    listener = _Listener()
    for _ in range(20):
        compile_for(listener, 0.01)
    time.sleep(0.1)
    assert lines == [LINE]


def test_a_short_compilation_and_kernels_of_others_are_silent(lines: list[str]) -> None:
    listener = _Listener()
    compile_for(listener, 0.0)
    compile_for(listener, 0.2, "another.package")
    time.sleep(0.1)
    assert lines == []
