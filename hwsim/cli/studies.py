"""Commands for studies and designs: demo, run, sweep, pareto, report, table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hwsim import interrupt
from hwsim.cli.app import Force, Json, app, print_status
from hwsim.errors import HwsimError
from hwsim.files import writing
from hwsim.files.writing import make_folder
from hwsim.study.results.columns import COLUMNS, Column
from hwsim.version import __version__

if TYPE_CHECKING:
    from hwsim.study.results.table import Row
    from hwsim.study.search.study import Study

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study.", show_default=False)]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for results and trained models.")]
Jobs = Annotated[
    int | None, typer.Option("-j", "--jobs", metavar="N", help="Number of worker processes; one per core by default.")
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="Folder with the data sets, instead of HWSIM_DATA.", exists=True, file_okay=False
    ),
]
RUNS = Path(".hwsim")
"""Default folder of `hwsim run`."""


@app.command()
def demo(output: Output = Path("hwsim-demo"), jobs: Jobs = None, force: Force = False) -> None:
    """Run a study on bundled data, in a few minutes on two cores, and write its report.

    Example: hwsim demo -o hwsim-demo
    """
    from importlib.resources import as_file, files

    from hwsim.report.pages import study_page
    from hwsim.study.search.study import load_study

    with as_file(files("hwsim.study") / "demo.toml") as path:
        study = load_study(path)
    study_page.check_outputs(make_folder(output), force)
    _run_study(study, output, jobs, force)
    _print_front(output)
    print_status(f"report: {study_page.write(output, force)}")


@app.command()
def run(
    design: Annotated[Path, typer.Argument(metavar="DESIGN.toml", help="A design; an empty file is the default.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="Override one setting: quantizer.w_bits=4, accelerator=mine.toml."
        ),
    ] = None,
    as_json: Json = False,
    output: Output = RUNS,
    jobs: Jobs = None,
    data: DataFolder = None,
    force: Force = False,
) -> None:
    """Evaluate one design, or print its stored result if it was evaluated before.

    Example: hwsim run design.toml --set quantizer.w_bits=4
    """
    import json

    from hwsim.design import parse_override, read_design
    from hwsim.study.point import designs
    from hwsim.study.results.store import read_store
    from hwsim.study.search.study import Study

    _set_data(data)
    changes = dict(parse_override(text) for text in settings or [])
    mapping, own = read_design(design, changes)
    try:
        study = Study.from_mapping({"study": {"name": "single runs"}, "base": mapping, "accelerators": own})
    except HwsimError as error:
        raise HwsimError(f"{design}: {error}") from None
    _run_study(study, output, jobs, force)
    (point,) = designs(study.points())
    with read_store(output) as store:
        result = store.grid()[point.settings_key]
    if as_json:
        answer = {"key": result.key, "status": result.status, "settings": point.settings}
        print(json.dumps(answer | {"result": dict(result.columns)}, indent=2))
    else:
        from hwsim.report.text import summary

        print(summary(point, result))
    if result.status != "done":
        raise typer.Exit(1)


@app.command()
def sweep(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study: base design, axes and objectives.")],
    output: Output,
    jobs: Jobs = None,
    data: DataFolder = None,
    force: Force = False,
    retry: Annotated[bool, typer.Option("--retry", help="Compute infeasible points again, too.")] = False,
) -> None:
    """Evaluate every point of a study. The same command resumes a sweep that was stopped at any moment.

    Example: hwsim sweep study.toml -o results
    """
    from hwsim.study.search.study import load_study

    _set_data(data)
    _run_study(load_study(study), output, jobs, force, retry)
    print_status(f"table: {output / 'points.csv'}; next: hwsim pareto {output}, hwsim report {output}")


@app.command()
def pareto(folder: Folder) -> None:
    """Print the points of a study that no other point dominates: its Pareto front.

    Example: hwsim pareto hwsim-demo
    """
    _print_front(folder)


@app.command()
def report(folder: Folder, force: Force = False) -> None:
    """Write report.html and the figures of a study, and print the path of the page.

    Example: hwsim report hwsim-demo
    """
    from hwsim.report.pages import study_page
    from hwsim.study.results.table import rows

    study, results = _read(folder)
    _say_unfinished(rows(study.points(), results), folder)
    print(study_page.write(folder, force))


def _help_line(column: Column) -> str:
    """Return name, unit and meaning of a column, wrapped to the width of a terminal."""
    name = f"LABEL_{column.name}" if column.group == "attack" else column.name
    unit = f" ({column.unit})" if column.unit else ""
    return fill(f"{name}{unit}: {column.meaning}", 78, subsequent_indent="    ", break_on_hyphens=False)


_TABLE_HELP = f"""Print every point of a study with all its columns.

Example: hwsim table hwsim-demo --format csv > points.csv

The axes of the study come first. LABEL stands for the label of an attack; with shadow models in full precision the
label ends in _float_shadows. The other columns:

\b
{chr(10).join(map(_help_line, COLUMNS))}
"""


@app.command(help=_TABLE_HELP)
def table(
    folder: Folder,
    form: Annotated[Literal["csv", "jsonl", "parquet"], typer.Option("--format", help="Format of the table.")] = "csv",
) -> None:
    """Print every point of a study with all its columns."""
    from hwsim.study.results.table import rows, to_csv, to_jsonl, to_parquet

    study, results = _read(folder)
    content = rows(study.points(), results)
    _say_unfinished(content, folder)
    if form == "parquet":
        if sys.stdout.isatty():
            raise HwsimError(
                f"parquet is binary: write it to a file, as in hwsim table {folder} --format parquet > FILE"
            )
        sys.stdout.buffer.write(to_parquet(content))
    else:
        sys.stdout.write(to_csv(content) if form == "csv" else to_jsonl(content))


def _set_data(folder: Path | None) -> None:
    """Set the folder of the data sets for this process and its workers; it is no part of a design."""
    if folder is not None:
        os.environ["HWSIM_DATA"] = str(folder.absolute())


def _run_study(study: Study, folder: Path, jobs: int | None, force: bool, retry: bool = False) -> None:
    """Run a study with progress on standard error, and turn failures into one-line errors."""
    from hwsim.study.run.progress import reporter
    from hwsim.study.run.runner import run_study
    from hwsim.study.run.workers import JobFailed

    failure = make_folder(folder) / "failure.txt"
    writing.check_output(failure, writing.FAILURE, force)
    try:
        interrupt.say("hwsim: stopped. Finished work is kept: run the same command again to continue.")
        run_study(study, folder, jobs, reporter(sys.stderr), force=force, retry=retry)
        interrupt.say()
    except JobFailed as error:
        writing.write_file(failure, f"Failure of hwsim {__version__}\n{error.details}", writing.FAILURE, force)
        raise JobFailed(f"{error}. Finished points are kept; details: {failure}", error.details) from None
    except OSError as error:
        raise HwsimError(f"{error.filename or folder}: {error.strerror or error}") from None


def _read(folder: Path) -> tuple[Study, Any]:
    """Return the study in a folder, and the result of each point by settings key."""
    from hwsim.study.results.store import read_store
    from hwsim.study.search.study import Study

    with read_store(folder) as store:
        return Study.from_mapping(store.study), store.grid()


def _say_unfinished(table: Sequence[Row], folder: Path) -> None:
    """Say before anything else that points are pending."""
    from hwsim.study.results.table import unfinished

    if text := unfinished(table):
        print_status(f"hwsim: {folder}: {text} Resume with: hwsim sweep STUDY.toml -o {folder}")


def _print_front(folder: Path) -> None:
    """Print axes and objectives of the points on the Pareto front; exit with 1 when there is none."""
    from hwsim.report.text import aligned
    from hwsim.study.results.table import rows
    from hwsim.study.search.pareto import front_of

    study, results = _read(folder)
    content = rows(study.points(), results)
    _say_unfinished(content, folder)
    front = [row for row, on_front in zip(content, front_of(content, study.objectives), strict=True) if on_front]
    if not front:
        print_status(f"hwsim: {folder}: no finished point has a value for each of {', '.join(study.objectives)}")
        raise typer.Exit(1)
    print(aligned(front, [*study.axes, *study.objectives]))
    directions = ", ".join(f"{name} ({direction})" for name, direction in study.objectives.items())
    infeasible = sum(row["status"] == "infeasible" for row in content)
    others = f"; {infeasible} are infeasible" if infeasible else ""
    print_status(f"{len(front)} of {len(content)} points are on the Pareto front of {directions}{others}")
