"""report.html: the whole study on one page that needs nothing but itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hwsim
from hwsim.errors import HwsimError
from hwsim.report.figures import study
from hwsim.report.text import short
from hwsim.study.results.store import read_store
from hwsim.study.results.table import Row, front_of, rows
from hwsim.study.search.study import Point, Study, attack_labels, describe

CORE = ("accuracy", "latency_us", "energy_pj", "area_mm2")


@dataclass(frozen=True, eq=False)
class Content:
    """What a report is made of: the study, its points, their table, and which rows are on the front."""

    study: Study
    points: Sequence[Point]
    table: Sequence[Row]
    front: NDArray[np.bool_]

    @property
    def attacks(self) -> list[str]:
        """The labels of the attacks that have results."""
        labels = attack_labels(self.points)
        return [label for label in labels if any(row.get(f"{label}_auc") is not None for row in self.table)]

    @property
    def leakage(self) -> str | None:
        """The AUC column that colours the figure: an objective if there is one, else the first attack's."""
        objectives = [name for name in self.study.objectives if name.endswith("_auc")]
        return next(iter([*objectives, *(f"{label}_auc" for label in self.attacks)]), None)

    def names(self, groups: Sequence[str] = ()) -> list[str]:
        """A short name per row from the axes that vary; only those of `groups` if any are given."""
        paths = [
            p for p in self.study.axes if len(self.study.axes[p]) > 1 and (not groups or p.split(".")[0] in groups)
        ]
        texts = [
            ", ".join(_short(path, point.axes[path]) for path in paths if point.axes[path] is not None)
            for point in self.points
        ]
        return [text or "the design" for text in texts]


def read(folder: Path) -> Content:
    """Read the study in `folder`; raises HwsimError when no point is finished."""
    with read_store(folder) as store:
        study = Study.from_mapping(store.study)
        results = store.results()
    points = study.points()
    table = rows(points, results)
    if not any(row["status"] == "done" for row in table):
        raise HwsimError(f"{folder}: no finished point to report; resume with `hwsim sweep STUDY.toml -o {folder}`")
    return Content(study, points, table, front_of(table, study.objectives))


def write(folder: Path) -> Path:
    """Write report.html, and figures/*.svg and *.png, into the folder of a study; returns the page's path."""
    content = read(folder)
    with study.style():
        drawn = _figures(content)
        for name, (made, _) in drawn.items():
            study.save(made, folder / "figures", name)
        inline = {name: (study.to_svg(made), caption) for name, (made, caption) in drawn.items()}
    path = folder / "report.html"
    path.write_text(page(content, inline), encoding="utf-8")
    return path


def page(content: Content, drawn: Mapping[str, tuple[str, str]]) -> str:
    """The HTML of the report; `drawn` maps a figure's name to its SVG and caption."""
    study = content.study
    style = (files("hwsim.report") / "page.css").read_text(encoding="utf-8")
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(study.name)} · hwsim</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
        f'<header><p class="kicker">hwsim study</p><h1>{escape(study.name)}</h1>',
        f'<p class="question">{escape(study.question)}</p></header>',
        _facts(content),
        *(figure_of(name, *drawn[name]) for name in drawn if name == "pareto"),
        _front(content),
        "<h2>What leaks, and where cycles and energy go</h2>",
        *(figure_of(name, *drawn[name]) for name in drawn if name != "pareto"),
        _all(content),
        _infeasible(content),
        _how_to_read(content),
        _provenance(content),
        f"<footer>Made by hwsim {escape(hwsim.__version__)}, model version {hwsim.MODEL_VERSION}.</footer>",
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _figures(content: Content) -> dict[str, tuple[Any, str]]:
    table, names = content.table, content.names()
    accelerators = [point.design.names["accelerator"] for point in content.points]
    technologies = sorted({point.design.names["technology"] for point in content.points})
    networks = content.names(("dataset", "model", "quantizer", "game", "seed"))
    colour = f" Colour is the leakage, {_words(content.leakage)}." if content.leakage else ""
    out: dict[str, tuple[Any, str]] = {}
    count = study.bars(table)
    if count:
        out["pareto"] = (
            study.figure(
                lambda axes: study.pareto(axes, table, content.front, content.leakage, names, accelerators),
                (7.2, 4.6),
            ),
            f"Every finished design. Rings mark the Pareto front of {_senses(content)}.{colour}",
        )
    if content.attacks:
        out["leakage"] = (
            study.figure(lambda axes: study.leakage(axes, table, networks, content.attacks)),
            "How well each attack tells members of the training set from non-members: 0.5 is guessing, 1 is certainty. "
            "Bars are intervals over samples.",
        )
    size = (7.2, 1.3 + 0.22 * count)
    cut = f" The first {count} designs that run." if count == study.MOST_BARS else ""
    if count:
        out["cycles"] = (
            study.figure(lambda axes: study.cycles(axes, table, names), size),
            f"Cycles of one inference, by what the array does or waits for.{cut}",
        )
        out["energy"] = (
            study.figure(lambda axes: study.energy(axes, table, names), size),
            f"Energy of one inference, by component, priced with {', '.join(technologies)}.{cut}",
        )
    return out


def figure_of(name: str, svg: str, caption: str) -> str:
    """A figure of a page: SVG text with a caption, its ids made its own."""
    inline = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    # ids of several figures meet on one page: give each figure its own, or clip paths and glyphs mix
    for mark in ('id="', 'href="#', "url(#"):
        inline = inline.replace(mark, f"{mark}{name}-")
    return (
        f'<figure role="img" aria-label="{escape(caption)}">{inline}<figcaption>{escape(caption)}</figcaption></figure>'
    )


def _facts(content: Content) -> str:
    done = [row for row in content.table if row["status"] == "done"]
    infeasible = sum(row["status"] == "infeasible" for row in content.table)
    pending = sum(row["status"] == "pending" for row in content.table)
    rest = ", ".join(f"{n} {word}" for n, word in ((infeasible, "infeasible"), (pending, "pending")) if n)
    facts = [("Designs evaluated", str(len(done)), rest or "all points of the study")]
    facts.append(("On the Pareto front", str(int(content.front.sum())), _senses(content)))
    for name, sense in content.study.objectives.items():
        have = [i for i, row in enumerate(content.table) if row.get(name) is not None]
        if have:
            best = (max if sense == "max" else min)(have, key=lambda i: content.table[i][name])
            word = "Highest" if sense == "max" else "Lowest"
            facts.append((f"{word} {_words(name)}", short(content.table[best][name]), content.names()[best]))
    cells = (f"<div><dt>{escape(a)}</dt><dd>{escape(b)}<small>{escape(c)}</small></dd></div>" for a, b, c in facts)
    return f'<dl class="facts">{"".join(cells)}</dl>'


def _front(content: Content) -> str:
    chosen = [row for row, on in zip(content.table, content.front, strict=True) if on]
    columns = _shown(content, [*CORE, *content.study.objectives, *(f"{a}_auc" for a in content.attacks)])
    text = f"The designs that no other design beats in every objective: {_senses(content)}."
    return f"<h2>The Pareto front</h2><p>{escape(text)}</p>{table_of(chosen, columns)}"


def _all(content: Content) -> str:
    columns = _shown(content, [name for name in content.table[0] if name not in ("key", "reason")])
    body = table_of(content.table, columns, content.front)
    return f"<h2>All designs</h2><details><summary>Show {len(content.table)} rows</summary>{body}</details>"


def _infeasible(content: Content) -> str:
    failed = [row for row in content.table if row["status"] == "infeasible"]
    if not failed:
        return ""
    columns = [*(path for path in content.study.axes), "reason"]
    return f"<h2>Designs that cannot run</h2>{table_of(failed, columns)}"


def _how_to_read(content: Content) -> str:
    points = [
        "Accuracy is measured on samples that a model was not trained on, as the mean over all models.",
        "Cycles and counts are exact for the modelled array; energy and area are counts times a technology table. "
        "Compare designs with each other rather than with a chip.",
        "AUC is the chance that an attack ranks a random member above a random non-member: 0.5 is guessing, 1 is "
        "certainty. low and high bound it over samples; target low and high over target models.",
        "TPR at FPR 0.01 is the share of members that an attack finds while accusing at most 1 % of the non-members.",
        "An attack that fails bounds nothing: a stronger attack may succeed. Shadow models here match the target in "
        "every respect, which favours the attacker.",
    ]
    flags = sorted({str(row["warnings"]) for row in content.table if row.get("warnings")})
    items = "".join(f"<li>{escape(text)}</li>" for text in points)
    flagged = "".join(f"<li>{escape(text)}</li>" for text in flags)
    extra = f'<p>Warnings about the numbers above:</p><ul class="read">{flagged}</ul>' if flags else ""
    return f'<h2>How to read this</h2><ul class="read">{items}</ul>{extra}'


def _provenance(content: Content) -> str:
    counts = [
        f"{name.removeprefix('n_').replace('nonmembers', 'non-members')} {_span(content.table, name)}"
        for name in ("n_members", "n_nonmembers", "n_targets")
        if any(row.get(name) is not None for row in content.table)
    ]
    facts = {
        "hwsim": f"{hwsim.__version__}, model version {hwsim.MODEL_VERSION}",
        "seeds": ", ".join(sorted({str(point.design.seed) for point in content.points})),
        "samples per audit": "; ".join(counts) or "no attack was run",
        "axes": "; ".join(f"{p}: {', '.join(describe(v) for v in vs)}" for p, vs in content.study.axes.items())
        or "none",
    }
    lines = "".join(f"<tr><td>{escape(k)}</td><td class='wide'>{escape(v)}</td></tr>" for k, v in facts.items())
    settings = escape(json.dumps(content.points[0].design.settings, indent=2))
    summary = "The first design with every setting"
    return (
        f'<h2>Provenance</h2><div class="scroll"><table><tbody>{lines}</tbody></table></div>'
        f"<details><summary>{summary}</summary><pre>{settings}</pre></details>"
    )


def table_of(table: Sequence[Row], columns: Sequence[str], front: NDArray[np.bool_] | None = None) -> str:
    """A table of a page with these columns; rows of the Pareto front, bool [row], stand out."""
    numeric = {name for name in columns if any(isinstance(row[name], int | float) for row in table)}
    head = "".join(f'<th class="n">{_head(c)}</th>' if c in numeric else f"<th>{_head(c)}</th>" for c in columns)
    body = []
    for i, row in enumerate(table):
        kinds = {
            c: ' class="n"' if c in numeric else ' class="wide"' if c in ("reason", "warnings") else "" for c in columns
        }
        cells = "".join(f"<td{kinds[c]}>{escape(short(row[c]))}</td>" for c in columns)
        body.append(f"<tr{' class=front' if front is not None and front[i] else ''}>{cells}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _shown(content: Content, columns: Sequence[str]) -> list[str]:
    """The axes, then those of `columns` that hold anything."""
    wanted = dict.fromkeys([*content.study.axes, *columns])
    return [name for name in wanted if any(row.get(name) not in (None, "") for row in content.table)]


def _head(column: str) -> str:
    return escape(column.replace("_", " "))


def _span(table: Sequence[Row], name: str) -> str:
    values = sorted({row[name] for row in table if row.get(name) is not None})
    return short(values[0]) if len(values) == 1 else f"{short(values[0])} to {short(values[-1])}"


def _senses(content: Content) -> str:
    return ", ".join(f"{_words(name)} ({sense})" for name, sense in content.study.objectives.items())


def _words(column: str | None) -> str:
    return (column or "").replace("_auc", " AUC").replace("energy_pj", "energy in pJ").replace("_", " ")


def _short(path: str, value: Any) -> str:
    text = describe(value).replace("_bits=", "")
    return text if isinstance(value, str | Mapping | list) else f"{path.split('.')[-1]} {text}"
