"""The commands that work on studies and designs: demo, run, sweep, pareto, report, table."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hwsim.cli.app import Json, app, print_status
from hwsim.errors import HwsimError

if TYPE_CHECKING:
    from hwsim.study.search.study import Study

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study.", show_default=False)]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where results and trained models go.")]
Jobs = Annotated[
    int | None, typer.Option("-j", "--jobs", metavar="N", help="Worker processes; one per core when not given.")
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Where data sets lie (else HWSIM_DATA).", exists=True, file_okay=False),
]
RUNS = Path(".hwsim")


@app.command()
def demo(output: Output = Path("hwsim-demo"), jobs: Jobs = None) -> None:
    """Run the main job on bundled data, a few minutes on two cores, and write a report.

    Example: hwsim demo -o hwsim-demo
    """
    from importlib.resources import as_file, files

    from hwsim.report.pages import study_page
    from hwsim.study.search.study import load_study

    with as_file(files("hwsim.study") / "demo.toml") as path:
        study = load_study(path)
    _run_study(study, output, jobs)
    _print_front(output)
    print_status(f"report: {study_page.write(output)}")


@app.command()
def run(
    design: Annotated[Path, typer.Argument(metavar="DESIGN.toml", help="A design; an empty file is the default one.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a setting, as quantizer.w_bits=4.")
    ] = None,
    as_json: Json = False,
    output: Output = RUNS,
    jobs: Jobs = None,
    data: DataFolder = None,
) -> None:
    """Evaluate one design; a design that was evaluated before is only looked up.

    Example: hwsim run design.toml --set quantizer.w_bits=4
    """
    import json

    from hwsim.design import override, parse_override, read_toml
    from hwsim.study.results.store import read_store
    from hwsim.study.search.study import Study

    _set_data(data)
    changes = dict(parse_override(text) for text in settings or [])
    mapping = override(read_toml(design), changes)
    try:
        study = Study.from_mapping({"study": {"name": "single runs"}, "base": mapping})
    except HwsimError as error:
        raise HwsimError(f"{design}: {error}") from None
    _run_study(study, output, jobs)
    (point,) = study.points()
    with read_store(output) as store:
        stored = store.results()[point.design.key]
    if as_json:
        result = {"key": point.design.key, "status": stored.status, "settings": point.design.settings}
        print(json.dumps(result | {"result": dict(stored.result)}, indent=2))
    else:
        from hwsim.report.text import summary

        print(summary(point.design, stored))
    if stored.status != "done":
        raise typer.Exit(1)


@app.command()
def sweep(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study: base design, axes, objectives.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where results and models go.")],
    jobs: Jobs = None,
    data: DataFolder = None,
) -> None:
    """Evaluate every point of a study. Stop it at any moment and run it again: it resumes.

    Example: hwsim sweep study.toml -o results
    """
    from hwsim.study.search.study import load_study

    _set_data(data)
    _run_study(load_study(study), output, jobs)
    print_status(f"table: {output / 'points.csv'}; next: hwsim pareto {output}, hwsim report {output}")


@app.command()
def pareto(folder: Folder) -> None:
    """Print the points of a study that no other point beats in every objective.

    Example: hwsim pareto hwsim-demo
    """
    _print_front(folder)


@app.command()
def report(folder: Folder) -> None:
    """Write report.html and the figures of a study, and print the path of the page.

    Example: hwsim report hwsim-demo
    """
    from hwsim.report.pages import study_page

    print(study_page.write(folder))


@app.command()
def table(
    folder: Folder,
    form: Annotated[Literal["csv", "jsonl", "parquet"], typer.Option("--format", help="What to print.")] = "csv",
) -> None:
    """Print every point of a study with all its columns.

    Example: hwsim table hwsim-demo --format csv > points.csv
    """
    from hwsim.study.results.table import rows, to_csv, to_jsonl, to_parquet

    study, results = _read(folder)
    content = rows(study.points(), results)
    if form == "parquet":
        if sys.stdout.isatty():
            raise HwsimError(f"parquet is not for a terminal: hwsim table {folder} --format parquet > points.parquet")
        sys.stdout.buffer.write(to_parquet(content))
    else:
        sys.stdout.write(to_csv(content) if form == "csv" else to_jsonl(content))


def _set_data(folder: Path | None) -> None:
    """Worker processes inherit the variable; where the data lies is no part of a design."""
    if folder is not None:
        os.environ["HWSIM_DATA"] = str(folder.absolute())


def _run_study(study: Study, folder: Path, jobs: int | None) -> None:
    from hwsim.study.run.progress import reporter
    from hwsim.study.run.runner import run_study
    from hwsim.study.run.workers import JobFailed

    try:
        run_study(study, folder, jobs, reporter(sys.stderr))
    except JobFailed as error:
        (folder / "failure.txt").write_text(error.details, encoding="utf-8")
        raise JobFailed(
            f"{error}. Finished points are kept; details: {folder / 'failure.txt'}", error.details
        ) from None
    except KeyboardInterrupt:
        print_status("hwsim: stopped. What was finished is kept: run the same command again to go on.")
        raise typer.Exit(130) from None
    except OSError as error:
        raise HwsimError(f"{error.filename or folder}: {error.strerror or error}") from None


def _read(folder: Path) -> tuple[Study, Any]:
    from hwsim.study.results.store import read_store
    from hwsim.study.search.study import Study

    with read_store(folder) as store:
        return Study.from_mapping(store.study), store.results()


def _print_front(folder: Path) -> None:
    from hwsim.report.text import aligned
    from hwsim.study.results.table import front_of, rows

    study, results = _read(folder)
    content = rows(study.points(), results)
    front = [row for row, chosen in zip(content, front_of(content, study.objectives), strict=True) if chosen]
    if not front:
        print_status(f"hwsim: {folder}: no finished point has all of {', '.join(study.objectives)}")
        raise typer.Exit(1)
    print(aligned(front, [*study.axes, *study.objectives]))
    senses = ", ".join(f"{name} ({sense})" for name, sense in study.objectives.items())
    print_status(f"{len(front)} of {len(content)} points are on the front of {senses}")
