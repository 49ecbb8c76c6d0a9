"""docs/extending.md: its files work, in a package of their own and in the tree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hwsim.registry import FAMILIES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
NAMES = {
    "dataset": "moons",
    "model": "skip_mlp",
    "quantizer": "percentile",
    "pe": "packed",
    "dataflow": "ws_tree",
    "accelerator": "mini",
    "technology": "mine45",
    "channel": "margin",
    "attack": "small_margin",
}
IN_TREE = {
    "quantizer": "hwsim/quantizers/uniform/percentile.py",
    "pe": "hwsim/machine/pe/packed.py",
    "attack": "hwsim/privacy/attacks/metric/small_margin.py",
}
USE_IN_TREE = """
import numpy as np
import hwsim
from hwsim.privacy.attack_tools.game_view import view_game
from hwsim.registry import build

x = np.random.default_rng(0).random((16, 6), dtype=np.float32)
module = build("model", "mlp", hidden=(8,)).module((6,), 3)
packed = build("accelerator", "tiny", pe={"name": "packed"})
for bits in (4, 8):
    network = hwsim.quantize(module, build("quantizer", "percentile", w_bits=bits), x)
    print(hwsim.simulate(network, packed, x).latency_cycles.mean())
keep = hwsim.balanced_keep(models=4, samples=16, seed=0)
game = view_game({"margin": keep * 2.0}, keep, np.zeros(16, dtype=np.int64))
print((build("attack", "small_margin").scores(game) > 0)[keep].all())
"""

Run = Callable[..., str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of the page, as `pip install` would leave it."""
    site = tmp_path_factory.mktemp("site")
    for name, text in FILES.items():
        if name.startswith("hwsim_mine/"):
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_text(text, encoding="utf-8")
    (group, entry) = re.search(
        r'^\[project\.entry-points\."(.*?)"\]\n(.*?)$', FILES["pyproject.toml"], re.MULTILINE
    ).groups()
    info = site / "hwsim_mine-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hwsim-mine\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}\n")
    return site


def python(arguments: list[str], *paths: Path) -> str:
    """Standard output of Python with `paths` before its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run([sys.executable, *arguments], env=environment, cwd=paths[0], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(text: str) -> set[tuple[str, str]]:
    """(family, name) of each line of `hwsim list`."""
    return {(words[0], words[1]) for line in text.splitlines() if len(words := line.split()) > 2}


def test_every_family_has_a_short_file() -> None:
    assert set(NAMES) == set(FAMILIES)
    assert {f"hwsim_mine/{family}.py" for family in FAMILIES} <= set(FILES)
    assert max(len(text.splitlines()) for text in FILES.values()) < 40


def test_the_package_is_listed(site: Path) -> None:
    assert set(NAMES.items()) <= listed(python(["-m", "hwsim", "list"], site, ROOT))


def test_the_design_runs_with_all_entries(site: Path) -> None:
    (site / "design.toml").write_text(FILES["design.toml"], encoding="utf-8")
    arguments = ["-m", "hwsim", "run", "design.toml", "--json", "-j", "1", "-o", str(site / "out")]
    row = json.loads(python(arguments, site, ROOT))["result"]
    assert 0.8 < row["accuracy"] <= 1
    assert row["latency_cycles"] > 0
    assert 0.4 < row["small_margin_auc"] < 0.7


def test_files_in_the_tree_need_no_list(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "hwsim", tmp_path / "hwsim", ignore=shutil.ignore_patterns("kernels", "__pycache__"))
    (tmp_path / "hwsim" / "kernels").symlink_to(ROOT / "hwsim" / "kernels")  # with what is compiled already
    (tmp_path / "accel_models").symlink_to(ROOT / "accel_models")
    for family, place in IN_TREE.items():
        (tmp_path / place).write_text(FILES[f"hwsim_mine/{family}.py"], encoding="utf-8")
    found = listed(python(["-m", "hwsim", "list"], tmp_path))
    assert {(family, NAMES[family]) for family in IN_TREE} <= found
    narrow, wide, scored = python(["-c", USE_IN_TREE], tmp_path).split()
    assert float(narrow) < float(wide)
    assert scored == "True"
