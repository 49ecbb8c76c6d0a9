"""Parts of all pages: the HTML document, figures, tables and lists of facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from hwsim import version
from hwsim.report.text import short
from hwsim.study.results.table import Row

WIDE = ("reason", "warnings")
"""Columns of long text, whose cells wrap."""


def document(kind: str, title: str, question: str, body: Sequence[str]) -> str:
    """Return a complete HTML document that loads nothing; `body` is HTML, the other texts are escaped here."""
    style = (files("hwsim.report") / "page.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="generator" content="hwsim">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)} · {kind}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
            f'<header><p class="kicker">{kind}</p><h1>{escape(title)}</h1>',
            f'<p class="question">{escape(question)}</p></header>',
            *body,
            f"<footer>Made by hwsim {escape(version.__version__)}, model version {version.MODEL_VERSION}.</footer>",
            "</main>\n</body>\n</html>\n",
        ]
    )


def figure_of(name: str, svg: str, caption: str) -> str:
    """Return a figure with a caption; `name` is added to all ids of the SVG, which so differ between figures."""
    inline = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for mark in ('id="', 'href="#', "url(#"):
        inline = inline.replace(mark, f"{mark}{name}-")
    return (
        f'<figure role="img" aria-label="{escape(caption)}">{inline}<figcaption>{escape(caption)}</figcaption></figure>'
    )


def facts_of(facts: Iterable[tuple[str, str, str]]) -> str:
    """Return a list of facts: heading, value and note of each."""
    cells = (f"<div><dt>{escape(a)}</dt><dd>{escape(b)}<small>{escape(c)}</small></dd></div>" for a, b, c in facts)
    return f'<dl class="facts">{"".join(cells)}</dl>'


def list_of(texts: Iterable[str]) -> str:
    """Return a bulleted list."""
    return f'<ul class="read">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>'


def table_of(
    table: Sequence[Row],
    columns: Sequence[str],
    front: NDArray[np.bool_] | None = None,
    meanings: Mapping[str, str] | None = None,
) -> str:
    """Return a table with these columns.

    Parameters
    ----------
    table : rows
    columns : names of the columns to show
    front : True for rows of the Pareto front, which are marked, bool [row]; no marks by default
    meanings : text that a browser shows over the heading, by column; no texts by default
    """
    numeric = {name for name in columns if any(isinstance(row[name], int | float) for row in table)}
    head = "".join(_heading(name, name in numeric, (meanings or {}).get(name, "")) for name in columns)
    classes = {name: ' class="n"' if name in numeric else ' class="wide"' if name in WIDE else "" for name in columns}
    body = []
    for i, row in enumerate(table):
        cells = "".join(f"<td{classes[name]}>{escape(short(row[name]))}</td>" for name in columns)
        marked = front is not None and front[i]
        body.append(f"<tr{' class=front' if marked else ''}>{cells}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _heading(column: str, numeric: bool, meaning: str) -> str:
    alignment = ' class="n"' if numeric else ""
    title = f' title="{escape(meaning)}"' if meaning else ""
    return f"<th{alignment}{title}>{escape(column.replace('_', ' '))}</th>"
