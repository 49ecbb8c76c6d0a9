"""Import order of the packages: from the ground up, without circles, at every depth of folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hwsim
from tests.support.layers import Tree, circles, imports, levels, upward

TREE = Tree(Path(hwsim.__file__).parent)

ORDERS: dict[str, list[str]] = {
    "hwsim": [
        "version arithmetic cache renamed interrupt status cache_folder",
        "errors rng",
        "arrays files checksums",
        "toml",
        "registry formats",
        "kernels",
        "network",
        "reference",
        "engine",
        "debug",
        "float_graph",
        "interop",
        "datasets",
        "training",
        "quantizers",
        "machine",
        "privacy",
        "named_files",
        "design",
        "study",
        "report",
        "cli",
        "__init__",
        "__main__",
    ],
    "hwsim.kernels": [
        "compile_status",
        "compile llvm buffer_pool time_slices",
        "barrier membership",
        "threads inference machine",
    ],
    "hwsim.interop": ["torch topology"],
    "hwsim.training": [
        "models checkpoint grouped pgd",
        "fit",
        "ensemble",
        "adversarial distill interval_bounds",
    ],
    "hwsim.quantizers": [
        "scheme float32",
        "base lowering range_estimators fit_scales",
        "calibration fine_tune",
        "uniform",
        "dynamic",
        "quantize",
    ],
    "hwsim.machine": [
        "events technology",
        "pe activity components",
        "dataflow",
        "description",
        "mapping",
        "timing",
        "run",
        "cost",
        "simulate layer_report",
        "trace",
        "__init__",
    ],
    "hwsim.privacy": [
        "game sample_keys statistics",
        "observation",
        "attack_tools",
        "attacks defenses",
        "audit",
        "__init__",
    ],
    "hwsim.privacy.observation": ["augmentations hopskipjump", "channels", "observe"],
    "hwsim.privacy.attacks": ["metric", "per_class reference label_only classifier hardware"],
    "hwsim.study": ["point", "results", "search", "evaluate", "run"],
    "hwsim.report": ["palette text", "figures", "pages"],
}
"""Package with folders -> its rooms from the ground up, rooms of one floor in one string.

A room (a module or a folder) may import from lower floors and from itself. For two modules, the order of the innermost
package that contains both decides.
"""

INDEPENDENT = {
    ("privacy", "machine"),
    ("machine", "training"),
    ("machine", "quantizers"),
    ("privacy", "training"),
    ("kernels", "network"),
}
"""(importer, imported): pairs of rooms of `hwsim` without an import although the order would allow it."""

TORCH_ROOMS = {"float_graph", "interop", "quantizers", "training", "study"}


def test_every_package_with_folders_has_an_order_with_all_its_rooms() -> None:
    with_folders = {name.rpartition(".")[0] for name in TREE.packages if "." in name}
    assert with_folders == set(ORDERS)
    for package, order in ORDERS.items():
        listed = [room for floor in order for room in floor.split()]
        rooms = set(TREE.room_arrows(package)) - {"__init__"}
        assert sorted(set(listed) - {"__init__"}) == sorted(rooms), package
        assert len(listed) == len(set(listed)), package


def test_imports_go_down_only() -> None:
    wrong = upward(TREE, ORDERS)
    assert not wrong, "\n".join(wrong)


def test_independent_rooms() -> None:
    arrows = TREE.room_arrows("hwsim")
    assert not {(here, there) for here, there in INDEPENDENT if there in arrows[here]}


def test_no_circle_of_files() -> None:
    found = circles(TREE.arrows)  # imports for type checking included
    assert not found, "\n".join(" ".join(group) for group in found)


def test_the_measure_finds_circles_and_upward_imports(tmp_path: Path) -> None:
    for name, text in {
        "house/__init__.py": "",
        "house/a.py": "",
        "house/b/__init__.py": "",
        "house/b/low.py": "from house import a\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.b.high",
        "house/b/high.py": "def late():\n    from house.b.low import x",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    tree = Tree(tmp_path / "house")
    assert circles(tree.arrows) == [["house.b.high", "house.b.low"]]
    assert upward(tree, {"house": ["a", "b"]}) == []
    assert upward(tree, {"house": ["b", "a"], "house.b": ["low", "high"]}) == [
        "house.b.low imports house.a",
        "house.b.low imports house.b.high",
    ]
    assert levels(tree.room_arrows("house")) == [["a"], ["b"]]
    command = [sys.executable, "-m", "tests.support.layers", str(tmp_path / "house")]
    done = subprocess.run(command, cwd=TREE.root.parent, capture_output=True, text=True, check=True)
    assert "circle of files: house.b.high house.b.low" in done.stdout


def test_torch_stays_in_its_rooms() -> None:
    wrong = [
        name
        for name, path in TREE.files.items()
        if TREE.room("hwsim", name) not in TORCH_ROOMS and any(m.split(".")[0] == "torch" for m, _ in imports(path))
    ]
    assert not wrong


@pytest.mark.parametrize("word", ["fastmath=True", "allow_pickle=True", "import pickle", " eval("])
def test_no_fast_math_and_no_pickle(word: str) -> None:
    assert [name for name, path in TREE.files.items() if word in path.read_text(encoding="utf-8")] == []
