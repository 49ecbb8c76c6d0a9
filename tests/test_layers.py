"""Who may import whom: the order of the rooms, from the ground up, without circles."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import hwsim

ROOT = Path(hwsim.__file__).parent

FLOORS = [
    ["version", "arithmetic", "cache", "renamed"],
    ["errors", "rng"],
    ["registry", "formats"],
    ["kernels"],
    ["network"],
    ["reference"],
    ["engine"],
    ["debug"],
    ["float_graph"],
    ["interop"],
    ["datasets"],
    ["training"],
    ["quantizers"],
    ["machine"],
    ["privacy"],
    ["design"],
    ["study"],
    ["report"],
    ["cli"],
    ["__init__"],
    ["__main__"],
]
"""A room may import from lower floors and from itself."""

INDEPENDENT = {
    ("privacy", "machine"),
    ("machine", "training"),
    ("machine", "quantizers"),
    ("privacy", "training"),
    ("kernels", "network"),
}
"""(room, room) pairs that must not meet although the floors would allow it."""

TORCH_ROOMS = {"float_graph", "interop", "quantizers", "training"}
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "hwsim":
                yield from (f"hwsim.{alias.name}" for alias in node.names)


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(p) for p in ROOT.rglob("*.py")}
    assert rooms <= set(FLOOR), f"no floor for {rooms - set(FLOOR)}"


def test_imports_go_down_only() -> None:
    wrong = []
    for path in ROOT.rglob("*.py"):
        here = room_of(path)
        if here == "__init__":
            continue  # the front door hands out names of all rooms, lazily
        for name in imports(path):
            if not name.startswith("hwsim."):
                continue
            there = name.split(".")[1]
            if there in FLOOR and there != here and (FLOOR[there] >= FLOOR[here] or (here, there) in INDEPENDENT):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_torch_stays_in_its_rooms() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if room_of(path) not in TORCH_ROOMS | {"study"} and any(n.split(".")[0] == "torch" for n in imports(path))
    ]
    assert not wrong


def test_no_fast_math_and_no_pickle() -> None:
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        for word in ("fastmath=True", "allow_pickle=True", "import pickle", " eval("):
            assert word not in text, f"{path} holds {word}"
