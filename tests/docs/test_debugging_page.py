"""docs/off_by_one.md shows what the commands really print, and names every rule."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hwsim import cli
from hwsim.debug.rounding import TOOLS
from hwsim.network.layer import Rounding

PAGE = (Path(__file__).parents[2] / "docs" / "off_by_one.md").read_text(encoding="utf-8")


def test_the_hunt_runs_as_shown(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "off_by_one.md", "exec"), {})
    shown = re.findall(r"```console\n\$ hwsim (.*?)\n(.*?)```", PAGE, re.DOTALL)
    assert [command.split()[0] for command, _ in shown] == ["diff", "explain"]
    for command, output in shown:
        with pytest.raises(SystemExit):
            cli.main(shlex.split(command))
        assert capsys.readouterr().out == output
    assert f"why: hwsim {shown[1][0]}\n" in shown[0][1]


def test_every_rule_has_its_tools() -> None:
    assert list(TOOLS) == list(Rounding)
    assert re.findall(r"^\| `(\w+)` \| .* \| .* \|$", PAGE, re.MULTILINE) == [str(rule) for rule in Rounding]
