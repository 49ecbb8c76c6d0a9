from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.study.point import describe
from hwsim.study.results.table import rows
from hwsim.study.search.study import Study, load_study
from tests.support.fake_stages import STUDY
from tests.support.fakes import BASE

pytestmark = pytest.mark.usefixtures("fake_choices")


def study(axes=None, **sections):
    return Study.from_mapping({"base": BASE, "axes": axes or {}} | sections)


def test_the_last_axis_of_the_grid_varies_fastest():
    points = study({"quantizer.w_bits": [8, 4], "seed": [0, 1, 2]}).points()
    assert [tuple(p.axes.values()) for p in points] == [(8, 0), (8, 1), (8, 2), (4, 0), (4, 1), (4, 2)]
    assert points[4].design.quantizer.w_bits == 4
    assert points[4].design.seed == 1
    assert points[4].label == "quantizer.w_bits=4, seed=1"


def test_without_axes_there_is_one_point():
    (point,) = study().points()
    assert point.axes == {}


def test_points_with_the_same_key_are_kept_once():
    points = study(
        {"quantizer": ["fake_quantizer", {"name": "fake_quantizer", "w_bits": 8}, "other_quantizer"]}
    ).points()
    assert [p.axes["quantizer"] for p in points] == ["fake_quantizer", "other_quantizer"]


def test_what_runs_on_no_accelerator_is_one_point():
    axes = {"accelerator": ["fake_array", "wide_array"], "quantizer": ["no_quantizer", "fake_quantizer"]}
    points = study(axes).points()
    assert [tuple(p.axes.values()) for p in points] == [
        (None, "no_quantizer"),
        ("fake_array", "fake_quantizer"),
        ("wide_array", "fake_quantizer"),
    ]
    assert points[0].label == "quantizer=no_quantizer"
    assert rows(points, {})[0]["accelerator"] is None


def test_an_invalid_combination_is_a_point_with_its_reason():
    points = study({"quantizer": ["fake_quantizer", "other_quantizer"], "quantizer.w_bits": [4, 9]}).points()
    assert [point.design is None for point in points] == [False, True, True, True]
    assert points[1].reason == "quantizer.w_bits: got 9; allowed: 1 to 8"
    assert points[2].reason.startswith("quantizer.w_bits: unknown setting")
    assert len({point.key for point in points}) == 4


def test_an_axis_can_be_a_whole_group_with_a_parameter_axis_on_top():
    points = study({"quantizer.a_bits": [2], "quantizer": [{"name": "fake_quantizer", "w_bits": 3}]}).points()
    assert points[0].design.settings["quantizer"] == {"name": "fake_quantizer", "w_bits": 3, "a_bits": 2}


def test_a_dotted_path_may_be_written_with_or_without_quotes(tmp_path):
    path = tmp_path / "study.toml"
    base = "\n".join(f"{k} = {v!r}" for k, v in BASE.items())
    path.write_text(
        f'[study]\nname = "s"\n[base]\n{base}\n[axes]\nquantizer.w_bits = [8, 4]\n"accelerator.rows" = [8]\n'
    )
    assert [p.label for p in load_study(path).points()] == [
        "quantizer.w_bits=8, accelerator.rows=8",
        "quantizer.w_bits=4, accelerator.rows=8",
    ]


def test_the_mapping_makes_the_same_study():
    one = Study.from_mapping(STUDY)
    again = Study.from_mapping(one.mapping)
    assert [p.design.key for p in again.points()] == [p.design.key for p in one.points()]
    assert again.mapping == one.mapping


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"axis": {}}, "study file: got axis; allowed: accelerators, axes, base, objectives, study. "
                       "Did you mean 'axes'?"),
        ({"study": {"nme": "x"}}, "study.nme: unknown setting; allowed: name, question. Did you mean 'name'?"),
        ({"study": {"name": 3}}, "study.name: got 3; allowed: a text in quotes"),
        ({"study": 3}, "study: got 3; allowed: a table: [study]"),
        ({"axes": {"quantiser.w_bits": [4]}}, "axes.quantiser.w_bits: got quantiser; allowed: accelerator, attacks, "
         "channels, dataset, game, model, quantizer, seed, shadows, technology. Did you mean 'quantizer'?"),
        ({"axes": {"quantizer.w_bits": 4}}, "axes.quantizer.w_bits: got 4; allowed: a list of at least one value"),
        ({"axes": {"quantizer.w_bits": []}}, "axes.quantizer.w_bits: got []; allowed: a list of at least one value"),
        ({"axes": {"quantizer.w_bits": [4], "quantizer": {"w_bits": [2]}}}, "axes.quantizer.w_bits: got two axes "
         "of this name; allowed: each setting in one axis"),
        ({"axes": {"quantizer": [{"name": "fake_quantizer", "w_bits": 3}], "quantizer.w_bits": [2]}},
         "axes.quantizer.w_bits: got also a part of quantizer = fake_quantizer w_bits=3; allowed: each setting in one"),
        ({"axes": {"quantizer": ["fake_quantizer"], "quantizer.name": ["other_quantizer"]}},
         "axes.quantizer.name: got also a part of quantizer = fake_quantizer; allowed: each setting in one axis"),
        ({"axes": {"quantizer.w_bits": [9, 10]}}, "point quantizer.w_bits=9: quantizer.w_bits: got 9; allowed: 1 to 8"),
        ({"axes": {"quantizer.bits": [4]}}, "point quantizer.bits=4: quantizer.bits: unknown setting; allowed: a_bits, "
         "w_bits. Did you mean 'w_bits'?"),
        ({"axes": {"seed": list(range(100_001))}}, "axes: got 100001; allowed: at most 100000 points"),
        ({"objectives": {"acuracy": "max"}}, "objectives.acuracy: got acuracy; allowed: "),
        ({"objectives": {"accuracy": "up"}}, 'objectives.accuracy: got up; allowed: "max" or "min"'),
        ({"base": BASE | {"seed": "x"}}, "seed: got x; allowed: a whole number from 0 to 2^63 - 1"),
    ],
)  # fmt: skip
def test_errors_name_the_place(mapping, text):
    with pytest.raises(HwsimError) as caught:
        Study.from_mapping({"base": BASE} | mapping)
    assert str(caught.value).startswith(text)


def test_objectives_may_name_the_columns_of_any_attack():
    assert study(objectives={"fake_loss_auc": "min"}).objectives == {"fake_loss_auc": "min"}
    with pytest.raises(HwsimError, match="Did you mean 'fake_loss_auc'"):
        study(objectives={"fakeloss_auc": "min"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("test_gap", "generalization_gap"),
        ("energy_local_pj", "energy_register_file_pj"),
        ("fake_loss_auc_target_low", "fake_loss_auc_ci_low"),
        ("fake_loss_auc_ci_targets_low", "fake_loss_auc_ci_low"),
    ],
)
def test_an_objective_with_a_former_name_is_refused_with_the_present_name(old, new):
    with pytest.raises(HwsimError, match=f"objectives.{old}: got {old}; .* It is called '{new}' now"):
        study(objectives={old: "min"})


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_setting_can_be_described(value):
    assert isinstance(describe(value), str)
