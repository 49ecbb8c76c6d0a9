"""docs/debugging.md: the commands print the shown output, and every rounding rule is listed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hwsim import cli
from hwsim.debug.rounding import TOOLS
from hwsim.network.layer import Rounding

PAGE = (Path(__file__).parents[2] / "docs" / "debugging.md").read_text(encoding="utf-8")


def test_the_worked_example_prints_the_shown_output(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "debugging.md", "exec"), {})
    shown = re.findall(r"```console\n\$ hwsim (.*?)\n(.*?)```", PAGE, re.DOTALL)
    assert [command.split()[0] for command, _ in shown] == ["diff", "explain"]
    for command, output in shown:
        with pytest.raises(SystemExit):
            cli.main(shlex.split(command))
        assert capsys.readouterr().out == output
    assert f"explain it: hwsim {shown[1][0]}\n" in shown[0][1]


def test_every_rule_has_its_tools() -> None:
    assert list(TOOLS) == list(Rounding)
    assert re.findall(r"^\| `(\w+)` \| .* \| .* \|$", PAGE, re.MULTILINE) == [str(rule) for rule in Rounding]
