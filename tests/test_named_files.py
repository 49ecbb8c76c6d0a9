"""Files that designs and studies name, accelerators and prices; and accelerators described in full."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from hwsim.design import Design, load_design
from hwsim.errors import HwsimError
from hwsim.study.results.table import rows
from hwsim.study.search.study import Study, load_study

TINY = (files("accel_models") / "accelerators" / "tiny.toml").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with mine.toml; the present folder is another one."""
    inner = tmp_path / "chips"
    inner.mkdir()
    (inner / "mine.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return inner


def design_in(folder: Path, text: str) -> Path:
    (folder / "design.toml").write_text(text)
    return folder / "design.toml"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('accelerator = "mine.toml"', 4),
        ('accelerator = {name = "mine.toml", array = {rows = 2}}', 2),
        ('[accelerator]\nname = "mine.toml"\narray.rows = 2', 2),
        ('accelerator = "../chips/mine.toml"', 4),
    ],
)
def test_a_design_names_a_file_relative_to_its_folder(folder: Path, text: str, rows: int) -> None:
    design = load_design(design_in(folder, text))
    assert (design.names["accelerator"], design.accelerator.array.rows) == ("mine", rows)


def test_an_override_is_relative_to_the_present_folder(folder: Path) -> None:
    empty = design_in(folder, "")
    for change in ({"accelerator": "chips/mine.toml"}, {"accelerator.name": "chips/mine.toml"}):
        assert load_design(empty, change).accelerator.array.rows == 4
    both = load_design(empty, {"accelerator.array.rows": 2, "accelerator": "chips/mine.toml"})
    assert (both.names["accelerator"], both.accelerator.array.rows) == ("mine", 2)
    assert (
        Design.resolve({"accelerator": "chips/mine.toml"}).key
        == load_design(empty, {"accelerator": "chips/mine.toml"}).key
    )
    with pytest.raises(HwsimError, match=r"mine\.toml: cannot be read"):
        load_design(empty, {"accelerator": "mine.toml"})


def test_the_key_depends_on_the_content_and_not_on_the_folder(folder: Path) -> None:
    before = load_design(design_in(folder, 'accelerator = "mine.toml"'))
    (folder.parent / "mine.toml").write_text(TINY)
    assert Design.resolve({"accelerator": "mine.toml"}).key == before.key
    for old, new in (("latency_cycles = 4", "latency_cycles = 5"), ("rows = 4", "rows = 3"), ("100 MHz", "101 MHz")):
        assert old in TINY
        (folder / "mine.toml").write_text(TINY.replace(old, new))
        assert load_design(folder / "design.toml").key != before.key


def test_settings_need_no_file_any_more(folder: Path) -> None:
    design = load_design(design_in(folder, 'accelerator = {name = "mine.toml", pe = {name = "fixed", max_bits = 4}}'))
    (folder / "mine.toml").unlink()
    again = Design.resolve(json.loads(json.dumps(design.settings)))
    assert (again.key, again.names["accelerator"], again.accelerator.pe.max_bits) == (design.key, "mine", 4)


def test_a_file_with_the_name_of_an_accelerator_of_hwsim_is_told_apart(folder: Path) -> None:
    (folder / "tpu_like.toml").write_text(TINY)
    design = load_design(design_in(folder, 'accelerator = "tpu_like.toml"'))
    assert (design.names["accelerator"], design.accelerator.array.rows) == ("tpu_like (file)", 4)
    assert Design.resolve(design.settings).key == design.key


def test_a_study_keeps_what_its_files_contained(folder: Path) -> None:
    path = folder / "study.toml"
    path.write_text('[axes]\naccelerator = ["mine.toml", "tiny", {name = "mine.toml", array = {rows = 2}}]\n')
    study = load_study(path)
    keys = [point.key for point in study.points()]
    assert [row["accelerator"] for row in rows(study.points(), {})] == ["mine", "tiny", "mine array=rows=2"]
    assert [point.design.accelerator.array.rows for point in study.points() if point.design] == [4, 4, 2]
    (folder / "mine.toml").unlink()
    stored = Study.from_mapping(json.loads(json.dumps(study.mapping)))
    assert [point.key for point in stored.points()] == keys


@pytest.mark.parametrize(
    "text",
    [
        '[base]\naccelerator = "mine.toml"\n[axes]\naccelerator.array.rows = [2, 4]\n',
        '[base]\naccelerator = {name = "mine.toml"}\n[axes]\n"accelerator.array.rows" = [2, 4]\n',
        '[axes]\n"accelerator.name" = ["mine.toml"]\n"accelerator.array.rows" = [2, 4]\n',
    ],
)
def test_axes_change_settings_of_a_file(folder: Path, text: str) -> None:
    (folder / "study.toml").write_text(text)
    points = load_study(folder / "study.toml").points()
    assert [point.design.accelerator.array.rows for point in points if point.design] == [2, 4]


def test_what_is_wrong_in_a_file_is_one_line(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "mine.toml").write_text(TINY.replace("rows = 4", "rows = 3"))
    (folder / "bad.toml").write_text(TINY.replace("[array]", "[arrays]"))
    study = folder / "study.toml"
    for axis, text in (
        (
            '["mine.toml", "other/mine.toml"]',
            "accelerator: got two files with the name mine.toml; allowed: another name",
        ),
        ('["bad.toml"]', "bad.toml: arrays: unknown setting; allowed: "),
        ('["none.toml"]', "none.toml: cannot be read: No such file"),
    ):
        study.write_text(f"[axes]\naccelerator = {axis}\n")
        with pytest.raises(HwsimError) as caught:
            load_study(study)
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("own", "text"),
    [
        (3, "accelerators: got 3; allowed: a table: [accelerators]"),
        ({"mine": 3}, "accelerators.mine: got 3; allowed: a table of settings"),
        ({"tiny": {}}, "accelerators.tiny: got the name of an accelerator of hwsim; allowed: another name"),
        ({"mine": {"arrays": {}}}, "accelerators.mine.arrays: unknown setting"),
    ],
)
def test_own_accelerators_of_a_study_are_checked(own: object, text: str) -> None:
    with pytest.raises(HwsimError) as caught:
        Study.from_mapping({"accelerators": own})
    assert str(caught.value).startswith(text)


def test_a_table_that_lacks_a_setting_is_no_accelerator_of_its_own(folder: Path) -> None:
    table = dict(load_design(design_in(folder, 'accelerator = "mine.toml"')).settings["accelerator"])
    del table["dram"]
    with pytest.raises(HwsimError, match=r"accelerator\.name: got mine; allowed: bitfusion,"):
        Design.resolve({"accelerator": table})


def test_prices_are_relative_to_the_folder_of_the_file(folder: Path) -> None:
    (folder / "prices.csv").write_text("item,pJ_per_bit,source\ndram,3.5,assumed\n")
    inner = design_in(folder, 'technology = {name = "nangate45", prices = "prices.csv"}')
    (folder / "study.toml").write_text('[base.technology]\nname = "nangate45"\nprices = "prices.csv"\n')
    (folder / "axis.toml").write_text('[axes]\ntechnology.prices = ["prices.csv"]\n')
    study, axis = load_study(folder / "study.toml"), load_study(folder / "axis.toml")
    designs = [
        load_design(inner),
        load_design(design_in(folder, ""), {"technology.prices": "chips/prices.csv"}),
        *(point.design for point in [*study.points(), *axis.points()]),
    ]
    assert [design and design.technology.prices[0].pj_per_bit for design in designs] == [3.5] * 4
    (folder / "prices.csv").unlink()
    (stored,) = Study.from_mapping(json.loads(json.dumps(study.mapping))).points()
    assert stored.key == study.points()[0].key
