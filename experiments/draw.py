"""From the folder of a finished study to its page: the csv, the picture, and the table between two marks.

    python experiments/draw.py FOLDER NAME        NAME is one of experiments/studies/*.toml

Writes experiments/studies/NAME.csv and NAME.svg, and renews the table in NAME.md (of attacks: docs/attacks.md), whose
words are written by hand.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from hwsim.registry import find
from hwsim.report.figures.study import figure, style, to_svg
from hwsim.study.search.study import load_study

STUDIES = Path(__file__).parent / "studies"
DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
Row = dict[str, str]


def main(folder: Path, name: str) -> None:
    text = (folder / "points.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    table, draw, size = PAGES[name]
    (STUDIES / f"{name}.csv").write_text(text, encoding="utf-8")
    with style():
        (STUDIES / f"{name}.svg").write_text(to_svg(figure(lambda axes: draw(axes, rows), size)), encoding="utf-8")
    page = DOCS / "attacks.md" if name == "attacks" else STUDIES / f"{name}.md"
    words = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    before, after = words.split(BEGIN)[0], words.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body))


def rate(row: Row, column: str) -> str:
    """A number with its interval over samples."""
    if not row.get(column):
        return "-"
    return f"{float(row[column]):.3f} [{float(row[f'{column}_ci_low']):.3f}, {float(row[f'{column}_ci_high']):.3f}]"


def bar(axes: Axes, x: Sequence[float], rows: Sequence[Row], column: str, **look: object) -> None:
    """Points with intervals over samples."""
    y, low, high = ([float(row[f"{column}{end}"]) for row in rows] for end in ("", "_ci_low", "_ci_high"))
    reach = [[a - b for a, b in zip(y, low, strict=True)], [b - a for a, b in zip(y, high, strict=True)]]
    axes.errorbar(x, y, reach, capsize=2.5, elinewidth=1.1, markersize=5, **look)  # type: ignore[arg-type]


# Bits.

WIDTHS = ("32", "8", "6", "4", "3", "2", "1.58", "1")


def width(row: Row) -> tuple[str, str]:
    """How a row's weights were rounded, and to how many bits."""
    name, *settings = row["quantizer"].split()
    bits = next((s.removeprefix("w_bits=") for s in settings if s.startswith("w_bits=")), "32")
    ternary = bits == "2" and (
        name == "minmax" or "narrow_range=True" in row["quantizer"] or "narrow_range = true" in row["quantizer"]
    )
    kind = {"float32": "none", "minmax": "after training", "lsq": "in training"}[name]
    return kind, "1.58" if ternary else bits


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
        body.append([*width(row), f"{float(row['accuracy']):.3f}", *(rate(row, c) for c in columns), energy])
    return markdown(head, body)


def bits_picture(axes: Axes, rows: Sequence[Row]) -> Axes:
    full = next(row for row in rows if width(row)[0] == "none")
    axes.axhline(float(full["lira_auc"]), color="#888888", linestyle="--", linewidth=1, label="full precision")
    looks = (("lira_auc", "-", "o", "matched shadows"), ("lira_float_shadows_auc", ":", "s", "float shadows"))
    for colour, kind in (("#4477AA", "after training"), ("#EE6677", "in training")):
        series = [row for row in rows if width(row)[0] == kind]
        x = [WIDTHS.index(width(row)[1]) for row in series]
        for column, line, marker, words in looks:
            label = f"rounded {kind}, {words}"
            bar(axes, x, series, column, color=colour, linestyle=line, marker=marker, label=label)
        accuracy = [float(row["accuracy"]) for row in series]
        axes.plot(x, accuracy, color=colour, alpha=0.35, marker="v", markersize=4, label=f"accuracy, {kind}")
    axes.set_xticks(range(1, len(WIDTHS)), WIDTHS[1:])
    axes.set(
        xlabel="bits of a weight (1.58: ternary)", ylabel="LiRA AUC; accuracy", title="What bits of the weights leak"
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes


# The output port.

PORT_ATTACKS = ("gap", "label_only_augmentation", "label_only_boundary", "loss", "lira", "rmia")


def port(row: Row) -> str:
    return next((bits for bits in ("16", "8", "4") if f"bits={bits}" in row["channels"]), "32")


def port_table(rows: Sequence[Row]) -> str:
    head = ["port", *(name.replace("_", " ") for name in PORT_ATTACKS), "LiRA TPR at 1 % FPR"]
    columns = [*(f"{attack}_auc" for attack in PORT_ATTACKS[3:]), "lira_tpr_at_fpr_0.01"]
    body = [[f"{port(row)}-bit logits", "", "", "", *(rate(row, column) for column in columns)] for row in rows]
    body.append(["label alone", *(rate(rows[0], f"{a}_auc") for a in PORT_ATTACKS[:3]), "", "", "", ""])
    return markdown(head, body)


def port_picture(axes: Axes, rows: Sequence[Row]) -> Axes:
    for number, attack in enumerate(PORT_ATTACKS[3:]):
        places = [i + 0.08 * (number - 1) for i in range(len(rows))]
        bar(axes, places, rows, f"{attack}_auc", fmt="o", label=attack)
    for number, attack in enumerate(PORT_ATTACKS[:3]):
        bar(axes, [len(rows) + 0.1 * (number - 1)], rows[:1], f"{attack}_auc", fmt="s", label=attack.replace("_", " "))
    axes.set_xticks(range(len(rows) + 1), [*(f"{port(row)} bits" for row in rows), "label"])
    axes.set(xlabel="what leaves the chip", ylabel="membership AUC", title="What a narrower output port hides")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes


# The side channel.


def attack_labels(row: Row) -> list[str]:
    return [c.removesuffix("_auc") for c in row if c.endswith("_auc") and row[c]]


def side_table(rows: Sequence[Row]) -> str:
    """One line per attack: the AUC of every seed with both intervals, and what joint attacks gain over LiRA."""
    head = ["attack", *(f"seed {row['seed']}: AUC [samples] [targets], gain over LiRA" for row in rows)]
    body = []
    for label in attack_labels(rows[0]):
        cells = []
        for row in rows:
            targets = (
                f"[{float(row[f'{label}_auc_ci_targets_low']):.3f}, {float(row[f'{label}_auc_ci_targets_high']):.3f}]"
            )
            gain = f"{label}_auc_gain"
            more = (
                f"; {float(row[gain + '_ci_low']):+.4f} to {float(row[gain + '_ci_high']):+.4f}"
                if row.get(f"{gain}_ci_low")
                else ""
            )
            cells.append(f"{rate(row, f'{label}_auc')} {targets}{more}")
        body.append([label.replace("_", " "), *cells])
    return markdown(head, body)


def side_picture(axes: Axes, rows: Sequence[Row]) -> Axes:
    labels = attack_labels(rows[0])
    for number, row in enumerate(rows):
        for place, label in enumerate(labels):
            y = place + 0.2 * (number - 1)
            low, mid, high = (float(row[f"{label}_auc{end}"]) for end in ("_ci_low", "", "_ci_high"))
            axes.errorbar([mid], [y], xerr=[[mid - low], [high - mid]], fmt="o", color=f"C{number}", capsize=2.5,
                          markersize=4.5, label=f"seed {row['seed']}" if place == 0 else None)  # fmt: skip
    axes.axvline(0.5, color="#888888", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(labels)), [label.replace("_", " ") for label in labels])
    axes.invert_yaxis()
    axes.set(xlabel="membership AUC, 95 % over samples", title="Members by latency, energy and logits")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes


# Every attack.


def attacks_table(rows: Sequence[Row]) -> str:
    """One line per attack: what it reads, its result and its source."""
    (row,) = rows
    head = ["attack", "reads", "AUC", "best balanced accuracy", "TPR at 1 % FPR", "source"]
    known = {attack.label: (name, attack) for name, attack in chosen_attacks()}
    body = []
    for label in attack_labels(row):
        name, attack = known[label]
        numbers = [rate(row, f"{label}_auc"), f"{float(row[f'{label}_balanced_accuracy']):.3f}",
                   rate(row, f"{label}_tpr_at_fpr_0.01")]  # fmt: skip
        body.append([f"`{label}`", ", ".join(attack.needs), *numbers, find("attack", name).citation])
    return markdown(head, body)


def chosen_attacks() -> list[tuple[str, Any]]:
    """Names and attacks of the study, in its order."""
    design = load_study(STUDIES / "attacks.toml").points()[0].design
    return list(zip(design.attack_names, design.attacks, strict=True))


def attacks_picture(axes: Axes, rows: Sequence[Row]) -> Axes:
    (row,) = rows
    labels = sorted(attack_labels(row), key=lambda label: float(row[f"{label}_auc"]))
    for place, label in enumerate(labels):
        low, mid, high = (float(row[f"{label}_auc{end}"]) for end in ("_ci_low", "", "_ci_high"))
        axes.errorbar(
            [mid], [place], xerr=[[mid - low], [high - mid]], fmt="o", color="#4477AA", capsize=2, markersize=4
        )
    axes.axvline(0.5, color="#888888", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.set(xlabel="membership AUC, 95 % over samples", title="Every attack on one game")
    return axes


Page = tuple[Callable[[Sequence[Row]], str], Callable[[Axes, Sequence[Row]], Axes], tuple[float, float]]

PAGES: dict[str, Page] = {
    "location30": (bits_table, bits_picture, (8.4, 4.2)),
    "fashion_mnist": (bits_table, bits_picture, (8.4, 4.2)),
    "output_port": (port_table, port_picture, (8.0, 4.0)),
    "drq_side_channel": (side_table, side_picture, (8.4, 4.0)),
    "attacks": (attacks_table, attacks_picture, (7.2, 8.4)),
}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in PAGES:
        sys.exit(f"usage: python experiments/draw.py FOLDER {'|'.join(PAGES)}")
    main(Path(sys.argv[1]), sys.argv[2])
