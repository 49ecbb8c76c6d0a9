"""Retired words of docs/glossary.md: none comes back as a name, a module, an option or in prose.

`python -m tests.docs.test_glossary` prints what is left, room by room.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
CODE = [*ROOT.glob("hwsim/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("experiments/**/*.py")]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in ROOT.glob("docs/*.md") if page != GLOSSARY),
    *ROOT.glob("experiments/**/*.md"),
    *ROOT.glob("accel_models/**/*.md"),
]
OLD_NAMES_ALLOWED = {"hwsim/renamed.py"}
"""Files whose strings are old names on purpose: the table that error messages consult."""


STREAM_NAMES = {"moved copies"}
"""Names of random streams: a new name would draw other numbers."""


class Retired(NamedTuple):
    """One retired word: its kind, its pattern, the term that took its place, and the first folders where it counts."""

    kind: str
    pattern: str
    term: str
    folder: str = ""


class Hit(NamedTuple):
    """One place with a retired word."""

    path: str
    line: int
    found: str
    term: str


@cache
def retired() -> list[Retired]:
    """The last column of each table of the glossary.

    In it, `name` is an identifier, a string that equals it, or code in a page; `*` is a wildcard. `module:name` is a
    file or folder, `option:--name` an option of the command line, `folder/:name` an identifier in one folder of hwsim
    (and of tests), and "words" are prose: pages, docstrings, comments and strings.
    """
    out = []
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 4 or cells[0] in ("term", "---"):
            continue
        for code, words in re.findall(r'`([^`]+)`|"([^"]+)"', cells[3]):
            scope, _, pattern = code.rpartition(":")
            if words:
                out.append(Retired("prose", words, cells[0]))
            elif scope in ("module", "option"):
                out.append(Retired(scope, pattern, cells[0]))
            else:
                out.append(Retired("name", pattern, cells[0], scope))
    return out


class Names:
    """Looks identifiers up among the retired ones of a folder."""

    def __init__(self, folder: str) -> None:
        here = [word for word in retired() if word.kind == "name" and (not word.folder or f"/{word.folder}" in folder)]
        self.exact = {word.pattern: word.term for word in here if "*" not in word.pattern}
        self.wild = [word for word in here if "*" in word.pattern]

    def term(self, name: str) -> str | None:
        """The term that took the place of `name`; None where it is not retired."""
        if name in self.exact:
            return self.exact[name]
        return next((word.term for word in self.wild if fnmatchcase(name, word.pattern)), None)


def hits() -> list[Hit]:
    """Every retired word that is left."""
    return [
        *module_hits(),
        *(hit for path in CODE for hit in code_hits(path)),
        *(h for page in PAGES for h in page_hits(page)),
    ]


def module_hits() -> Iterator[Hit]:
    words = [word for word in retired() if word.kind == "module"]
    for path in CODE:
        relative = path.relative_to(ROOT)
        for part in (*relative.parts[:-1], relative.stem.removeprefix("test_")):
            yield from (Hit(str(relative), 1, f"module {part}", word.term) for word in words if word.pattern == part)


def code_hits(path: Path) -> Iterator[Hit]:
    """Identifiers everywhere; strings and prose in hwsim only, since a test may quote an old name."""
    relative = str(path.relative_to(ROOT))
    names = Names(f"/{relative}")
    text = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and (term := names.term(token.string)):
            yield Hit(relative, token.start[0], token.string, term)
        elif token.type == tokenize.COMMENT and relative.startswith("hwsim/"):
            yield from prose_hits(relative, token.start[0], token.string)
    if not relative.startswith("hwsim/") or relative in OLD_NAMES_ALLOWED:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in STREAM_NAMES:
                continue
            if term := names.term(node.value):
                yield Hit(relative, node.lineno, repr(node.value), term)
            yield from prose_hits(relative, node.lineno, node.value)


def page_hits(page: Path) -> Iterator[Hit]:
    relative = str(page.relative_to(ROOT))
    names = Names(relative)
    language = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            language = line[3:] or "text" if language is None else None
            continue
        code = re.findall(r"`([^`]+)`", line) if language is None else []
        if language == "python":
            code = [re.sub(r"#.*|\"[^\"]*\"", "", line)]
        for name in re.findall(r"[A-Za-z_]\w*", " ".join(code)):
            if term := names.term(name):
                yield Hit(relative, number, name, term)
        yield from prose_hits(relative, number, line)


def prose_hits(path: str, line: int, text: str) -> Iterator[Hit]:
    for word in retired():
        if word.kind == "prose":
            pattern = rf"\b{word.pattern}\b".replace(" ", r"\s+")
        elif word.kind == "option":
            pattern = rf"(?<!\S){word.pattern}(?![\w-])|`{word.pattern}\b"
        else:
            continue
        for match in re.finditer(pattern, text, re.IGNORECASE):
            yield Hit(path, line + text[: match.start()].count("\n"), match.group(), word.term)


def test_the_glossary_is_read() -> None:
    words = retired()
    assert {word.kind for word in words} == {"name", "module", "option", "prose"}
    assert len(words) == len({(w.kind, w.pattern, w.folder) for w in words}), "a word is retired twice"


def test_terms_are_in_order() -> None:
    sections = re.split(r"^## ", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    for section in sections:
        terms = [t.lower() for t in re.findall(r"^\| (?!term|---)([^|]+?) \|", section, re.MULTILINE)]
        assert terms == sorted(terms), section.splitlines()[0]


def test_every_name_in_a_meaning_is_in_the_code() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("hwsim/**/*.py"))
    words = set(re.findall(r"\w+", code))
    rows = re.findall(
        r"^\| (?!term|---)[^|]+ \| ((?:\\\||[^|])*) \|", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE
    )
    names = {name for row in rows for name in re.findall(r"`([A-Za-z]\w*[A-Za-z])`", row)}
    assert len(names) > 5
    assert names - words == set()


def test_a_retired_word_is_found(tmp_path: Path) -> None:
    assert Names("/hwsim/study/run/runner.py").term("Arena") is not None
    assert Names("/hwsim/study/run/runner.py").term("runner") is None
    assert [hit.found for hit in prose_hits("page", 1, "Labels of Moved\ncopies; removed copies.")] == ["Moved\ncopies"]


def test_no_retired_word_is_left() -> None:
    found = hits()
    assert not found, "\n".join(f'{h.path}:{h.line}: {h.found}: see "{h.term}" in docs/glossary.md' for h in found)


def main() -> None:
    """Print the number of hits per room, then each of them."""
    found = hits()
    rooms = Counter("/".join(hit.path.split("/")[:2]) for hit in found)
    for room, count in sorted(rooms.items()):
        words = Counter(hit.found for hit in found if hit.path.startswith(room))
        print(f"{room}: {count}: " + ", ".join(f"{word} {n}" for word, n in words.most_common()))
    for hit in found:
        print(f"{hit.path}:{hit.line}: {hit.found} -> {hit.term}")


if __name__ == "__main__":
    main()
