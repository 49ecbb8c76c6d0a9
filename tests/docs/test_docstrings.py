"""Docstrings: their examples run, and their first words name a thing or an action."""

from __future__ import annotations

import ast
import doctest
import importlib
import io
import pkgutil
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import hwsim

ROOT = Path(hwsim.__file__).parent
MODULES = sorted(m.name for m in pkgutil.walk_packages(hwsim.__path__, "hwsim.") if not m.name.endswith("__main__"))
FILES = sorted(ROOT.rglob("*.py"))

QUESTION = re.compile(r"(What|Which|How|Where|Who|Whose|Why|When)\b")
RELATIVE = re.compile(r"The (\S+ ){1,2}that\b")
"""First words that no docstring has: a question or a relative clause in the place of a noun or a verb."""

SENTENCE = re.compile(r"[.!?:][)\"'`]*(\s|$)")

PERSON = re.compile(
    r"\b(speaks?|spoken|tells?|told|betrays?|hopes?|hoped|knows|cheats?|foresees?|nobody|innocent|beside|so many)\b"
)
"""Words in docstrings and comments that make a person of an array or a program, and loose references."""


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each docstring of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            name = getattr(node, "name", "module")
            if text is not None:
                yield f"{path.relative_to(ROOT.parent)}:{getattr(node, 'lineno', 1)} {name}", text


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    failures, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert failures == 0


def test_every_module_has_a_docstring() -> None:
    assert [str(path) for path in FILES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize("first_words", [QUESTION, RELATIVE], ids=["question", "relative"])
def test_first_words(first_words: re.Pattern[str]) -> None:
    wrong = [f"{place}: {text[:60]!r}" for path in FILES for place, text in docstrings(path) if first_words.match(text)]
    assert not wrong, "\n".join(wrong)


def test_first_sentence() -> None:
    texts = [(place, text.split("\n\n")[0]) for path in FILES for place, text in docstrings(path)]
    assert [place for place, first in texts if not SENTENCE.search(first)] == []


def test_programs_are_no_persons() -> None:
    wrong = []
    for path in FILES:
        prose = [*docstrings(path), *comments(path)]
        wrong += [f"{place}: {match.group()!r}" for place, text in prose for match in PERSON.finditer(text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [
        ("What a fold costs.", QUESTION, True),
        ("Cycles of a fold.", QUESTION, False),
        ("Whether cycles depend on values.", QUESTION, False),
        ("The commands that time a workload.", RELATIVE, True),
        ("The smallest integer not below a / b.", RELATIVE, False),
    ],
)
def test_the_patterns(text: str, pattern: re.Pattern[str], found: bool) -> None:
    assert bool(pattern.match(text)) is found


def comments(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each comment of a file."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield f"{path.relative_to(ROOT.parent)}:{token.start[0]} comment", token.string
