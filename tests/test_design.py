"""Designs: resolution, keys, overrides, and errors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import design as design_module
from hwsim.design import Design, content_key, load_design, override, parse_override
from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.toml import read_toml
from tests.support.fakes import BASE

pytestmark = pytest.mark.usefixtures("fake_choices")


def resolve(**changes):
    return Design.resolve(override(BASE, {k.replace("__", "."): v for k, v in changes.items()}))


def test_a_design_exposes_its_objects_names_and_full_settings():
    design = resolve(quantizer__w_bits=4)
    assert design.names["quantizer"] == "fake_quantizer"
    assert design.quantizer.w_bits == 4
    assert design.settings["quantizer"] == {"name": "fake_quantizer", "w_bits": 4, "a_bits": 8}
    assert design.settings["game"] == {
        "models": 16, "samples": None, "calibration": 128, "auxiliary": 0, "split": None,
    }  # fmt: skip
    assert design.settings["attacks"] == [{"name": "fake_loss"}]


def test_settings_resolve_to_the_same_key():
    design = resolve(accelerator="wide_array", accelerator__pe={"name": "fixed", "max_bits": 4}, seed=7)
    assert Design.resolve(design.settings).key == design.key


@pytest.mark.parametrize(
    "change",
    [
        {"dataset__noise": 0.5},
        {"model__width": 9},
        {"quantizer__w_bits": 7},
        {"quantizer": "other_quantizer"},
        {"accelerator__rows": 17},
        {"accelerator__pe__max_bits": 4},
        {"technology__vdd_v": 0.9},
        {"game__models": 18},
        {"game__samples": 100},
        {"game__calibration": 64},
        {"game__auxiliary": 64},
        {"game__split": "halves"},
        {"shadows": "both"},
        {"channels": ["logits", "latency_cycles"]},
        {"attacks": []},
        {"seed": 1},
    ],
)
def test_every_setting_is_part_of_the_key(change):
    assert resolve(**change).key != resolve().key


def test_the_model_version_is_part_of_the_key(monkeypatch):
    before = resolve().key
    monkeypatch.setattr(design_module, "MODEL_VERSION", design_module.MODEL_VERSION + 1)
    assert resolve().key != before


def test_the_data_folder_and_equivalent_forms_do_not_change_the_key(monkeypatch):
    before = resolve().key
    monkeypatch.setenv("HWSIM_DATA", "/elsewhere")
    assert resolve().key == before
    assert resolve(quantizer={"name": "fake_quantizer", "w_bits": 8}).key == before
    both = ["logits", "latency_cycles"]
    assert resolve(channels=both).key == resolve(channels=both[::-1]).key


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"quantiser": "x"}, "design: got quantiser; allowed: accelerator, attacks, channels, dataset, game, model, "
                             "quantizer, seed, shadows, technology. Did you mean 'quantizer'?"),
        ({"quantizer__w_bits": 9}, "quantizer.w_bits: got 9; allowed: 1 to 8"),
        ({"quantizer__w_bit": 4}, "quantizer.w_bit: unknown setting; allowed: a_bits, w_bits. Did you mean 'w_bits'?"),
        ({"quantizer": "fake_quantiser"}, "quantizer.name: got fake_quantiser; allowed: fake_quantizer, no_quantizer, "
                                          "other_quantizer. Did you mean 'fake_quantizer'?"),
        ({"quantizer": 3}, "quantizer: got 3; allowed: a name in quotes, or a table of settings"),
        ({"quantizer__name": 3}, "quantizer.name: got 3; allowed: a name in quotes; `hwsim list` shows them"),
        ({"accelerator__pe__max_bit": 3}, "accelerator.pe.max_bit: unknown setting; allowed: max_bits, name. "
                                          "Did you mean 'max_bits'?"),
        ({"game__models": 5}, "game.models: got 5; allowed: an even number, so that each sample is a member of "
                              "exactly half of the models"),
        ({"game__members": 5}, "game.members: unknown setting; allowed: auxiliary, calibration, models, samples, "
                               "split. Did you mean 'models'?"),
        ({"channels": "logits"}, "channels: got logits; allowed: a list of names"),
        ({"channels": ["logit"]}, "channels: got logit; allowed: latency_cycles, logits. Did you mean 'logits'?"),
        ({"attacks": ["fake_latency"]}, "channels: got ['logits']; allowed: a list with latency_cycles, which "
                                        "fake_latency needs"),
        ({"attacks": ["fake_loss", "fake_loss"]}, "attacks: got ['fake_loss', 'fake_loss']; allowed: each attack once; "
                                                  "fake_loss is listed twice"),
        ({"attacks": [{"label": "x"}]}, "attacks[0].name is missing; allowed: a name in quotes; `hwsim list` shows "
                                        "them"),
        ({"attacks": ["fake_latency"], "channels": ["latency_cycles"], "game__models": 4},
         "game.models: got 4; allowed: 6 or more, which fake_latency needs"),
        ({"seed": -1}, "seed: got -1; allowed: a whole number from 0 to 2^63 - 1"),
        ({"seed": True}, "seed: got True; allowed: a whole number from 0 to 2^63 - 1"),
        ({"technology__vdd_v": float("nan")}, "design: nan and inf are not allowed as settings"),
    ],
)  # fmt: skip
def test_errors_contain_the_place_the_value_and_the_allowed_values(change, text):
    with pytest.raises(HwsimError) as caught:
        _ = resolve(**change).key
    assert str(caught.value) == text


def test_a_new_name_drops_the_parameters_of_the_old_choice():
    base = {"quantizer": {"name": "fake_quantizer", "w_bits": 4}}
    assert override(base, {"quantizer.name": "other_quantizer"}) == {"quantizer": {"name": "other_quantizer"}}
    assert override(base, {"quantizer.name": "fake_quantizer"}) == base
    assert override(base, {"quantizer": "other_quantizer"}) == {"quantizer": "other_quantizer"}


def test_overrides_do_not_depend_on_their_order():
    changes = {"quantizer.steps": 3, "quantizer.name": "other_quantizer", "quantizer": {"name": "fake_quantizer"}}
    backwards = dict(reversed(changes.items()))
    expected = {"quantizer": {"name": "other_quantizer", "steps": 3}}
    assert override({}, changes) == override({}, backwards) == expected


def test_an_override_leaves_its_input_alone():
    base = {"accelerator": {"name": "fake_array", "pe": {"max_bits": 8}}}
    assert override(base, {"accelerator.pe.max_bits": 4})["accelerator"]["pe"] == {"max_bits": 4}
    assert base["accelerator"]["pe"] == {"max_bits": 8}


def test_a_list_can_only_be_set_as_a_whole():
    with pytest.raises(BadInput, match="attacks is no table"):
        override(BASE, {"attacks.0": "x"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=4", 4),
        ("a.b = 0.5", 0.5),
        ("a.b=true", True),
        ('a.b="4"', "4"),
        ("a.b=lsq", "lsq"),
        ('a.b={name="lsq", w_bits=4}', {"name": "lsq", "w_bits": 4}),
        ('a.b=["x=y"]', ["x=y"]),
    ],
)
def test_set_parses_values_as_toml(text, value):
    assert parse_override(text) == ("a.b", value)


@pytest.mark.parametrize("text", ["a.b", "=4", "a.b=", "a.b=[1", "a=1\nb=2", "a=4 bits"])
def test_set_refuses_invalid_toml(text):
    with pytest.raises(BadInput, match="--set"):
        parse_override(text)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_the_content_key_does_not_depend_on_the_order_of_fields(content):
    assert content_key(content) == content_key(dict(reversed(content.items())))


def test_load_design_names_the_file(tmp_path):
    path = tmp_path / "design.toml"
    path.write_text('quantizer = "fake_quantiser"\n')
    with pytest.raises(HwsimError, match=r"design\.toml: dataset\.name: got digits"):
        load_design(path)
    with pytest.raises(HwsimError, match=r"design\.toml: quantizer\.name: got fake_quantiser"):
        load_design(path, {k: v for k, v in BASE.items() if k != "quantizer"})


def test_toml_errors_name_the_file_and_the_line(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("a = 1\nb = = 2\n")
    with pytest.raises(HwsimError, match=r"broken\.toml: not valid TOML: .*line 2"):
        read_toml(path)
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(HwsimError, match="not a text file in UTF-8"):
        read_toml(path)
    with pytest.raises(HwsimError, match=r"missing\.toml: cannot be read: No such file"):
        read_toml(tmp_path / "missing.toml")


def test_an_unknown_group_offers_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'quantizer'"):
        Design.resolve({"quantizers": "x"})
