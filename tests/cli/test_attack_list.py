"""Attacks with parameters on the command line."""

from __future__ import annotations

import pytest

from hwsim.cli.attack_list import parse_attacks
from hwsim.errors import HwsimError


@pytest.mark.parametrize(
    "text, labels",
    [
        ("loss,lira,rmia", ["loss", "lira", "rmia"]),
        ("lira:mode=offline,variance=pooled", ["lira_offline_pooled"]),
        ("lira:mode=offline,variance=pooled,rmia", ["lira_offline_pooled", "rmia"]),
        ("lira:mode=offline:variance=pooled;rmia:gamma=2", ["lira_offline_pooled", "rmia_gamma_2_0"]),
        ("lira, lira:variance=released", ["lira", "lira_released"]),
        ("rmia:temperature=2", ["rmia_temperature_2_0"]),
        ("rmia:temperature=auto", ["rmia"]),
        ("joint:channels=logits+energy_pj,loss", ["joint_logits_energy_pj", "loss"]),
        ("joint:channels=logits,remove_level=false", ["joint_logits_remove_level_False"]),
        ("shokri:hidden=50,shadows=none", ["shokri_50"]),
    ],
)
def test_a_list_is_read(text: str, labels: list[str]) -> None:
    assert [attack.label for attack in parse_attacks(text)] == labels


@pytest.mark.parametrize(
    "text, message",
    [
        ("lirra", "Did you mean 'lira'"),
        ("lira:mod=offline", "Did you mean 'mode'"),
        ("lira:mode=offlin", "Did you mean 'offline'"),
        ("lira:variance=4", "variance"),
        ("lira:mode=offline,mode=online", "mode twice"),
        ("lira:mode", "parameters as in lira:mode=offline"),
        ("lira:=3", "parameters as in lira:mode=offline"),
        ("mode=offline", "the name of an attack before its parameters"),
        ("loss,loss", "loss twice"),
        ("lira,lira:mode=online", "lira twice"),
        ("loss,", "attack"),
        ("", "attack"),
        ("rmia:temperature=0", "temperature"),
        ("joint:channels=logits+logits", "each channel once"),
    ],
)
def test_a_wrong_list_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(HwsimError, match=message) as error:
        parse_attacks(text)
    assert "--attacks" in str(error.value)
    assert "\n" not in str(error.value)
