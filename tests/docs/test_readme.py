"""The README: its examples run, its links and commands exist, its table cells are short."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from hwsim.cli import application
from hwsim.registry import family

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_quickstart_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    cycles, energy_pj, auc = map(float, done.stdout.split())
    assert cycles > 0
    assert energy_pj > 0
    assert 0.55 < auc < 0.8


def test_every_link_and_every_make_target_exists() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "experiments").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("line", re.findall(r"^\| `hwsim (.*?)` \|", README, re.MULTILINE))
def test_every_command_has_its_options(line: str) -> None:
    commands = typer.main.get_command(application().app).commands  # type: ignore[attr-defined]
    for text in line.replace("`", "").split(", hwsim "):
        options = {option for parameter in commands[text.split()[0]].params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--?[a-z-]+", text)) <= options


def test_every_command_is_listed() -> None:
    commands = typer.main.get_command(application().app).commands  # type: ignore[attr-defined]
    assert set(commands) == set(re.findall(r"`hwsim (\w+)", README[README.index("## Command line") :]))


@pytest.mark.parametrize(
    ("text", "family_name"),
    [
        (r"\[(\d+) of them\]\(docs/accelerators.md\)", "accelerator"),
        (r"\[(\d+) of them\]\(docs/attacks.md\)", "attack"),
        (r"\[(\d+) data sets\]", "dataset"),
    ],
)
def test_counts(text: str, family_name: str) -> None:
    (count,) = re.findall(text, README)
    assert int(count) == len(family(family_name))


def test_every_page_is_linked() -> None:
    linked = set(re.findall(r"\]\(docs/(\w+\.md)", README))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_cells_are_short() -> None:
    cells = [cell for row in re.findall(r"^\|(.*)\|$", README, re.MULTILINE) for cell in row.split("|")]
    assert max(len(cell.split()) for cell in cells) <= 25
