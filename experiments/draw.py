"""Tables and figures of the studies in experiments/studies, drawn from the results of a study.

    python experiments/draw.py NAME FOLDER    take points.csv from the folder of a finished study, and draw
    python experiments/draw.py NAME           draw experiments/studies/NAME.csv again

NAME is one of experiments/studies/*.toml. Writes NAME.svg and the table between two marks in NAME.md (of the study
`attacks`: in docs/attacks.md). The text around the table is written by hand.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from hwsim.registry import find
from hwsim.report.figures.base import figure, legend_right, style, to_svg
from hwsim.study.point import designs
from hwsim.study.search.study import load_study

STUDIES = Path(__file__).parent / "studies"
DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
"""Marks around the table in a page."""

Row = dict[str, str]
"""One row of a CSV file."""


def main(name: str, folder: Path | None) -> None:
    """Make table, figure and page first, and write the files at the end: an error changes none of them."""
    results = STUDIES / f"{name}.csv"
    content = (results if folder is None else folder / "points.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(content.splitlines()))
    require_finished(rows)
    make_table, draw, size = PAGES[name]
    with style():
        picture = to_svg(figure(lambda axes: draw(axes, rows), size))
    page = DOCS / "attacks.md" if name == "attacks" else STUDIES / f"{name}.md"
    text = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    written = {
        results: content,
        STUDIES / f"{name}.svg": picture,
        page: f"{before}{BEGIN}\n{make_table(rows)}\n{END}{after}",
    }
    for path, text in written.items():
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)


def require_finished(rows: Sequence[Row]) -> None:
    """Exit with one line unless every point of a study has a result."""
    left = sum(row["status"] != "done" for row in rows)
    if left or not rows:
        sys.exit(f"{left} of {len(rows)} points are not done; finish the study first. Nothing was written")


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body))


def with_interval(row: Row, column: str) -> str:
    """Return a value with its 95 % interval."""
    if not row.get(column):
        return "-"
    low, high = (float(row[f"{column}_ci_{end}"]) for end in ("low", "high"))
    return f"{float(row[column]):.3f} [{low:.3f}, {high:.3f}]"


def error_lengths(rows: Sequence[Row], column: str) -> list[list[float]]:
    """Return the lengths of error bars below and above the values of a column: two lists, one length per row."""
    value, low, high = ([float(row[f"{column}{end}"]) for row in rows] for end in ("", "_ci_low", "_ci_high"))
    return [[v - a for v, a in zip(value, low, strict=True)], [b - v for v, b in zip(value, high, strict=True)]]


def vertical_bars(axes: Axes, x: Sequence[float], rows: Sequence[Row], column: str, **look: Any) -> None:
    """Draw the values of a column with their 95 % intervals at positions `x`."""
    y = [float(row[column]) for row in rows]
    axes.errorbar(x, y, error_lengths(rows, column), capsize=2.5, elinewidth=1.1, markersize=5, **look)


def horizontal_bar(axes: Axes, y: float, row: Row, column: str, **look: Any) -> None:
    """Draw one value with its 95 % interval at height `y`."""
    axes.errorbar([float(row[column])], [y], xerr=error_lengths([row], column), fmt="o", **look)


def attack_labels(row: Row) -> list[str]:
    return [column.removesuffix("_auc") for column in row if column.endswith("_auc") and row[column]]


# Studies of weight bits: location30 and fashion_mnist.

WIDTHS = ("32", "8", "6", "4", "3", "2", "1.58", "1")


def method_and_width(row: Row) -> tuple[str, str]:
    """Return when the weights of a row were quantized, and their bits; 1.58 bits are ternary weights."""
    name, *settings = row["quantizer"].split()
    bits = next((s.removeprefix("w_bits=") for s in settings if s.startswith("w_bits=")), "32")
    ternary = bits == "2" and (name == "minmax" or "narrow_range=True" in settings)
    method = {"float32": "none", "minmax": "after training", "lsq": "in training"}[name]
    return method, "1.58" if ternary else bits


def bits_table(rows: Sequence[Row]) -> str:
    columns = (
        "lira_auc",
        "lira_tpr_at_fpr_0.01",
        "lira_float_shadows_auc",
        "rmia_auc",
        "rmia_float_shadows_auc",
        "gap_auc",
    )
    head = ["rounded", "bits", "accuracy", "LiRA AUC", "LiRA TPR at 1 % FPR", "LiRA AUC, float shadows", "RMIA AUC",
            "RMIA AUC, float shadows", "gap AUC", "energy"]  # fmt: skip
    body = []
    for row in rows:
        energy = f"{float(row['energy_relative']):.2f}" if row["energy_relative"] else "-"
        values = (with_interval(row, column) for column in columns)
        body.append([*method_and_width(row), f"{float(row['accuracy']):.3f}", *values, energy])
    return markdown(head, body)


def bits_figure(axes: Axes, rows: Sequence[Row]) -> Axes:
    full = next(row for row in rows if method_and_width(row)[0] == "none")
    axes.axhline(float(full["lira_auc"]), color="#888888", linestyle="--", linewidth=1, label="full precision")
    shadows = (("lira_auc", "-", "o", "matched shadows"), ("lira_float_shadows_auc", ":", "s", "float shadows"))
    for color, method in (("#4477AA", "after training"), ("#EE6677", "in training")):
        series = [row for row in rows if method_and_width(row)[0] == method]
        x = [WIDTHS.index(method_and_width(row)[1]) for row in series]
        for column, line, marker, name in shadows:
            label = f"rounded {method}, {name}"
            vertical_bars(axes, x, series, column, color=color, linestyle=line, marker=marker, label=label)
        accuracy = [float(row["accuracy"]) for row in series]
        axes.plot(x, accuracy, color=color, alpha=0.35, marker="v", markersize=4, label=f"accuracy, {method}")
    axes.set_xticks(range(1, len(WIDTHS)), WIDTHS[1:])
    axes.set(xlabel="bits of a weight (1.58: ternary)", ylabel="LiRA AUC; accuracy", title="Leakage by weight bits")
    legend_right(axes)
    return axes


# Study of the output port: output_port.

LABEL_ATTACKS = ("gap", "label_only_augmentation", "label_only_boundary")
LOGIT_ATTACKS = ("loss", "lira", "rmia")


def port_bits(row: Row) -> str:
    return next((bits for bits in ("16", "8", "4") if f"bits={bits}" in row["channels"]), "32")


def port_table(rows: Sequence[Row]) -> str:
    names = (name.replace("_", " ") for name in (*LABEL_ATTACKS, *LOGIT_ATTACKS))
    head = ["port", *names, "LiRA TPR at 1 % FPR"]
    columns = [*(f"{attack}_auc" for attack in LOGIT_ATTACKS), "lira_tpr_at_fpr_0.01"]
    body = [[f"{port_bits(row)}-bit logits", "", "", "", *(with_interval(row, c) for c in columns)] for row in rows]
    of_labels = (with_interval(rows[0], f"{attack}_auc") for attack in LABEL_ATTACKS)
    body.append(["label alone", *of_labels, "", "", "", ""])
    return markdown(head, body)


def port_figure(axes: Axes, rows: Sequence[Row]) -> Axes:
    for number, attack in enumerate(LOGIT_ATTACKS):
        x = [i + 0.08 * (number - 1) for i in range(len(rows))]
        vertical_bars(axes, x, rows, f"{attack}_auc", fmt="o", label=attack)
    for number, attack in enumerate(LABEL_ATTACKS):
        x = [len(rows) + 0.1 * (number - 1)]
        vertical_bars(axes, x, rows[:1], f"{attack}_auc", fmt="s", label=attack.replace("_", " "))
    axes.set_xticks(range(len(rows) + 1), [*(f"{port_bits(row)} bits" for row in rows), "label"])
    axes.set(xlabel="output of the chip", ylabel="membership AUC", title="Leakage by output port")
    legend_right(axes)
    return axes


# Study of the side channels: drq_side_channel.


def side_channel_table(rows: Sequence[Row]) -> str:
    """Return one line per attack: the AUC of each seed with its interval, and the gain of joint attacks over LiRA."""
    head = ["attack", *(f"seed {row['seed']}: AUC, gain over LiRA" for row in rows)]
    labels = attack_labels(rows[0])
    body = [[label.replace("_", " "), *(side_channel_cell(row, f"{label}_auc") for row in rows)] for label in labels]
    return markdown(head, body)


def side_channel_cell(row: Row, auc: str) -> str:
    gain = ""
    if row.get(f"{auc}_gain_ci_low"):
        gain = f"; {float(row[f'{auc}_gain_ci_low']):+.4f} to {float(row[f'{auc}_gain_ci_high']):+.4f}"
    return f"{with_interval(row, auc)}{gain}"


def side_channel_figure(axes: Axes, rows: Sequence[Row]) -> Axes:
    labels = attack_labels(rows[0])
    for number, row in enumerate(rows):
        for place, label in enumerate(labels):
            name = f"seed {row['seed']}" if place == 0 else None
            look = {"color": f"C{number}", "capsize": 2.5, "markersize": 4.5, "label": name}
            horizontal_bar(axes, place + 0.2 * (number - 1), row, f"{label}_auc", **look)
    axes.axvline(0.5, color="#888888", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(labels)), [label.replace("_", " ") for label in labels])
    axes.invert_yaxis()
    axes.set(xlabel="membership AUC with 95 % intervals", title="Leakage by latency, energy and logits")
    legend_right(axes)
    return axes


# Study of every attack: attacks.


def attacks_table(rows: Sequence[Row]) -> str:
    """Return one line per attack: its channels, its result and its source."""
    (row,) = rows
    head = ["attack", "reads", "AUC", "best balanced accuracy", "TPR at 1 % FPR", "source"]
    known = {attack.label: (name, attack) for name, attack in chosen_attacks()}
    body = []
    for label in attack_labels(row):
        name, attack = known[label]
        numbers = [with_interval(row, f"{label}_auc"), f"{float(row[f'{label}_balanced_accuracy']):.3f}",
                   with_interval(row, f"{label}_tpr_at_fpr_0.01")]  # fmt: skip
        body.append([f"`{label}`", ", ".join(attack.needs), *numbers, find("attack", name).citation])
    return markdown(head, body)


def chosen_attacks() -> list[tuple[str, Any]]:
    """Return names and attacks of the study, in its order."""
    design = designs(load_study(STUDIES / "attacks.toml").points())[0]
    return list(zip(design.attack_names, design.attacks, strict=True))


def attacks_figure(axes: Axes, rows: Sequence[Row]) -> Axes:
    (row,) = rows
    labels = sorted(attack_labels(row), key=lambda label: float(row[f"{label}_auc"]))
    for place, label in enumerate(labels):
        horizontal_bar(axes, place, row, f"{label}_auc", color="#4477AA", capsize=2, markersize=4)
    axes.axvline(0.5, color="#888888", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.set(xlabel="membership AUC with 95 % intervals", title="Every attack on one game")
    return axes


Page = tuple[Callable[[Sequence[Row]], str], Callable[[Axes, Sequence[Row]], Axes], tuple[float, float]]
"""Function that makes the table, function that draws the figure, and size of the figure in inches."""

PAGES: dict[str, Page] = {
    "location30": (bits_table, bits_figure, (8.4, 4.2)),
    "fashion_mnist": (bits_table, bits_figure, (8.4, 4.2)),
    "output_port": (port_table, port_figure, (8.0, 4.0)),
    "drq_side_channel": (side_channel_table, side_channel_figure, (8.4, 4.0)),
    "attacks": (attacks_table, attacks_figure, (7.2, 8.4)),
}

if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in PAGES:
        sys.exit(f"usage: python experiments/draw.py {'|'.join(PAGES)} [FOLDER]")
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) == 3 else None)
