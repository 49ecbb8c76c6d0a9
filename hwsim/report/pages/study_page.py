"""Page of a study: report.html with figures, tables and provenance, which loads nothing from outside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import version
from hwsim.errors import HwsimError
from hwsim.files import writing
from hwsim.report.figures import base
from hwsim.report.figures import study as study_figures
from hwsim.report.pages.parts import document, facts_of, figure_of, list_of, table_of
from hwsim.report.text import short
from hwsim.study.point import Point, attack_labels, describe, designs
from hwsim.study.results.columns import find_column
from hwsim.study.results.store import read_store
from hwsim.study.results.table import Row, rows, unfinished
from hwsim.study.search.pareto import front_of
from hwsim.study.search.study import Study

CORE = ("accuracy", "latency_us", "energy_pj", "area_mm2")
"""Columns that the table of the Pareto front always shows."""

STATUSES = ("done", "infeasible", "pending")


@dataclass(frozen=True, eq=False)
class Content:
    """Content of a report.

    Attributes
    ----------
    study : the study
    points : its points, in grid order
    table : one row per point
    front : True for rows on the Pareto front, bool [row]
    """

    study: Study
    points: Sequence[Point]
    table: Sequence[Row]
    front: NDArray[np.bool_]

    @property
    def attacks(self) -> list[str]:
        """Labels of the attacks that have results."""
        labels = attack_labels(self.points)
        return [label for label in labels if any(row.get(f"{label}_auc") is not None for row in self.table)]

    @property
    def leakage(self) -> str | None:
        """Column that the color of the figure shows: the first AUC among the objectives, else of the first attack."""
        objectives = [name for name in self.study.objectives if name.endswith("_auc")]
        return next(iter([*objectives, *(f"{label}_auc" for label in self.attacks)]), None)

    @property
    def directions(self) -> str:
        """The objectives with their directions, as text."""
        return ", ".join(f"{_spaced(name)} ({direction})" for name, direction in self.study.objectives.items())

    def names(self, groups: Sequence[str] = ()) -> list[str]:
        """Return a short name per row from the axes that vary; only from axes of `groups` if any are given."""
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
        results = store.grid()
    points = study.points()
    table = rows(points, results)
    if not any(row["status"] == "done" for row in table):
        raise HwsimError(f"{folder}: no finished point to report; resume with `hwsim sweep STUDY.toml -o {folder}`")
    return Content(study, points, table, front_of(table, study.objectives))


def check_outputs(folder: Path, force: bool = False) -> None:
    """Raise HwsimError unless `write` may write the page of a study into the folder."""
    writing.check_output(folder / "report.html", writing.HTML, force)


def write(folder: Path, force: bool = False) -> Path:
    """Write report.html, figures/*.svg and figures/*.png into the folder of a study; return the path of the page.

    Raises HwsimError, before anything is written, when, without `force`, a file of these names is not by hwsim.
    """
    content = read(folder)
    check_outputs(folder, force)
    with base.style():
        drawn = _figures(content)
        base.check_names(writing.make_folder(folder / "figures"), drawn, force)
        for name, (made, _) in drawn.items():
            base.save(made, folder / "figures", name, force)
        inline = {name: (base.to_svg(made), caption) for name, (made, caption) in drawn.items()}
    path = folder / "report.html"
    writing.write_file(path, page(content, inline), writing.HTML, force)
    return path


def page(content: Content, drawn: Mapping[str, tuple[str, str]]) -> str:
    """Return the HTML of the report; `drawn` maps the name of a figure to its SVG and caption."""
    body = [
        _unfinished(content),
        _facts(content),
        *(figure_of(name, *drawn[name]) for name in drawn if name == "pareto"),
        _front(content),
        "<h2>Leakage, cycles and energy</h2>",
        *(figure_of(name, *drawn[name]) for name in drawn if name != "pareto"),
        _all(content),
        _infeasible(content),
        _how_to_read(content),
        _provenance(content),
    ]
    return document("hwsim study", content.study.name, content.study.question, body)


def _figures(content: Content) -> dict[str, tuple[Any, str]]:
    """Return figure and caption by name."""
    table, names = content.table, content.names()
    accelerators = ["" if point.design is None else point.design.names["accelerator"] for point in content.points]
    technologies = sorted({design.names["technology"] for design in designs(content.points)})
    networks = content.names(("dataset", "model", "quantizer", "game", "seed"))
    color = f" Color is the leakage, {_spaced(content.leakage)}." if content.leakage else ""
    drawn: dict[str, tuple[Any, str]] = {}
    running = study_figures.chosen_rows(table, content.front)
    if running:
        drawn["pareto"] = (
            base.figure(
                lambda axes: study_figures.pareto(axes, table, content.front, content.leakage, names, accelerators),
                (7.2, 4.6),
            ),
            f"Every finished design. Rings mark the Pareto front of {content.directions}.{color}",
        )
    if content.attacks:
        attacks = study_figures.chosen_attacks(table, content.attacks, list(content.study.objectives))
        shown = study_figures.chosen_networks(table, networks, content.front)
        height = 1.3 + len(shown) * min(1.0 if len(shown) <= 12 else 0.35, 0.13 + 0.11 * len(attacks))
        drawn["leakage"] = (
            base.figure(
                lambda axes: study_figures.leakage(axes, table, networks, attacks, shown), (7.2, max(3.0, height))
            ),
            "AUC of each attack, members of the training set against non-members: 0.5 is guessing, 1 is certainty. "
            f"Bars are 95 % intervals.{_part(len(attacks), len(content.attacks), 'attacks')}"
            f"{_part(len(shown), len(set(networks)), 'networks', ', all with a design on the Pareto front')}",
        )
    bars, labels = [table[i] for i in running], [names[i] for i in running]
    size = (7.2, 1.3 + 0.22 * len(bars))
    total = sum(row["latency_cycles"] is not None for row in table)
    cut = _part(len(bars), total, "designs that run", ", all on the Pareto front")
    if bars:
        drawn["cycles"] = (
            base.figure(lambda axes: study_figures.cycles(axes, bars, labels), size),
            f"Cycles of one inference by cause.{cut}",
        )
        drawn["energy"] = (
            base.figure(lambda axes: study_figures.energy(axes, bars, labels), size),
            f"Energy of one inference by component, priced with {', '.join(technologies)}.{cut}",
        )
    return drawn


def _part(shown: int, total: int, kind: str, which: str = "") -> str:
    """Return a sentence when not all are shown, else nothing."""
    return f" {shown} of {total} {kind} are shown{which}; the table below has all." if shown < total else ""


def _unfinished(content: Content) -> str:
    text = unfinished(content.table)
    return f"<p><strong>{escape(text)}</strong></p>" if text else ""


def _facts(content: Content) -> str:
    counts = {status: sum(row["status"] == status for row in content.table) for status in STATUSES}
    others = ", ".join(f"{counts[status]} {status}" for status in STATUSES[1:] if counts[status])
    facts = [
        ("Designs evaluated", str(counts["done"]), others or "all points of the study"),
        ("On the Pareto front", str(int(content.front.sum())), content.directions),
    ]
    for name, direction in content.study.objectives.items():
        present = [i for i, row in enumerate(content.table) if row.get(name) is not None]
        if present:
            best = (max if direction == "max" else min)(present, key=lambda i: content.table[i][name])
            word = "Highest" if direction == "max" else "Lowest"
            facts.append((f"{word} {_spaced(name)}", short(content.table[best][name]), content.names()[best]))
    return facts_of(facts)


def _front(content: Content) -> str:
    members = [row for row, on_front in zip(content.table, content.front, strict=True) if on_front]
    chosen = [{"ring": number, **row} for number, row in enumerate(members, start=1)]
    columns = ["ring", *_present(content, [*CORE, *content.study.objectives, *(f"{a}_auc" for a in content.attacks)])]
    text = f"The designs that no other design dominates: {content.directions}."
    table = table_of(chosen, columns, meanings=_meanings(content, columns))
    return f"<h2>The Pareto front</h2><p>{escape(text)}</p>{table}"


def _all(content: Content) -> str:
    columns = _present(content, [name for name in content.table[0] if name not in ("key", "reason")])
    body = table_of(content.table, columns, content.front, _meanings(content, columns))
    return f"<h2>All designs</h2><details><summary>Show {len(content.table)} rows</summary>{body}</details>"


def _infeasible(content: Content) -> str:
    failed = [row for row in content.table if row["status"] == "infeasible"]
    if not failed:
        return ""
    columns = [*content.study.axes, "reason"]
    return f"<h2>Designs that cannot run</h2>{table_of(failed, columns)}"


def _how_to_read(content: Content) -> str:
    points = [
        "Accuracy is measured on the non-members of each model, as the mean over all models.",
        "Cycles and counts are exact for the modeled array. Energy and area are counts times a technology table: "
        "compare designs with each other rather than with a chip.",
        "AUC is the probability that an attack ranks a random member above a random non-member: 0.5 is guessing, 1 is "
        "certainty. Columns with ci low and ci high are 95 % intervals of the mean, for other samples and models. "
        "Columns with se are standard errors, with se models the part that is due to the models.",
        "TPR at FPR 0.01 is the share of members that an attack finds while it takes at most 1 % of the non-members "
        "for members.",
        "An attack that fails proves no privacy: a stronger attack may succeed. Shadow models here match the target in "
        "every respect, which favors the attacker.",
    ]
    warnings = sorted({str(row["warnings"]) for row in content.table if row.get("warnings")})
    extra = f"<p>Warnings about these numbers:</p>{list_of(warnings)}" if warnings else ""
    return f"<h2>How to read this</h2>{list_of(points)}{extra}"


def _provenance(content: Content) -> str:
    counts = [
        f"{name.removeprefix('n_').replace('nonmembers', 'non-members')} {_range(content.table, name)}"
        for name in ("n_members", "n_nonmembers", "n_targets")
        if any(row.get(name) is not None for row in content.table)
    ]
    axes = [f"{path}: {', '.join(describe(value) for value in values)}" for path, values in content.study.axes.items()]
    facts = {
        "hwsim": f"{version.__version__}, model version {version.MODEL_VERSION}",
        "seeds": ", ".join(sorted({str(design.seed) for design in designs(content.points)})),
        "samples per audit": "; ".join(counts) or "no attack was run",
        "axes": "; ".join(axes) or "none",
    }
    lines = "".join(f"<tr><td>{escape(k)}</td><td class='wide'>{escape(v)}</td></tr>" for k, v in facts.items())
    settings = escape(json.dumps(designs(content.points)[0].settings, indent=2))
    return (
        f'<h2>Provenance</h2><div class="scroll"><table><tbody>{lines}</tbody></table></div>'
        f"<details><summary>The first design with every setting</summary><pre>{settings}</pre></details>"
    )


def _present(content: Content, columns: Sequence[str]) -> list[str]:
    """Return the axes, then those of `columns` that have a value in any row."""
    wanted = dict.fromkeys([*content.study.axes, *columns])
    return [name for name in wanted if any(row.get(name) not in (None, "") for row in content.table)]


def _meanings(content: Content, columns: Sequence[str]) -> dict[str, str]:
    """Return meaning and unit of the columns that are results."""
    known = {name: find_column(name, content.attacks) for name in columns}
    return {n: f"{c.meaning} ({c.unit})" if c.unit else c.meaning for n, c in known.items() if c is not None}


def _range(table: Sequence[Row], name: str) -> str:
    values = sorted({row[name] for row in table if row.get(name) is not None})
    return short(values[0]) if len(values) == 1 else f"{short(values[0])} to {short(values[-1])}"


def _spaced(column: str | None) -> str:
    """Return the name of a column as words."""
    return (column or "").replace("_auc", " AUC").replace("energy_pj", "energy in pJ").replace("_", " ")


def _short(path: str, value: Any) -> str:
    text = describe(value).replace("_bits=", "")
    return text if isinstance(value, str | Mapping | list) else f"{path.split('.')[-1]} {text}"
