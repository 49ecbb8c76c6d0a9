"""The command line: parses, calls, prints. Data goes to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import hwsim
from hwsim.errors import HwsimError

if TYPE_CHECKING:
    from hwsim.study.study import Study

# Everything else is imported inside the commands, so that --help answers at once.

app = typer.Typer(
    help="From a network to integers, cycles, energy and what they leak.",
    epilog="Start with: hwsim demo",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""click's ClickException, which typer carries under different names in its versions."""

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study.", show_default=False)]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where results and trained models go.")]
Jobs = Annotated[
    int | None, typer.Option("-j", "--jobs", metavar="N", help="Worker processes; one per core when not given.")
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Where data sets lie (else HWSIM_DATA).", exists=True, file_okay=False),
]
NetworkFile = Annotated[
    Path, typer.Argument(metavar="NETWORK", help="A file that hwsim.save wrote.", show_default=False)
]
Codes = Annotated[
    Path | None,
    typer.Option(
        "--input",
        metavar="CODES.npy",
        help="Integer codes, samples first; random ones of a fixed seed when not given.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
AcceleratorName = Annotated[
    str, typer.Option("--accelerator", metavar="NAME", help="A name from `hwsim list accelerator`, or a TOML file.")
]
ArraySize = Annotated[
    str | None, typer.Option("--array", metavar="ROWSxCOLS", help="Another size of the array, such as 32x32.")
]
IsoArea = Annotated[
    str | None,
    typer.Option(
        "--iso-area", metavar="AREA|NAME", help="As many PEs as fit 1.5mm2, or the PE area of an accelerator."
    ),
]
Flow = Literal["ws", "os", "is", "rs"]
Profile = Literal["rtl", "scalesim", "stonne"]
Batch = Annotated[int, typer.Option("--batch", metavar="N", help="Images that share a layer's weights.", min=1)]
RUNS = Path(".hwsim")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 found a problem, 2 bad input, 130 interrupted."""
    sys.exit(_exit_code(arguments))


def _exit_code(arguments: Sequence[str] | None) -> int:
    command = typer.main.get_command(app)
    try:
        code = command.main(
            args=None if arguments is None else list(arguments), prog_name="hwsim", standalone_mode=False
        )
        sys.stdout.flush()
    except HwsimError as error:
        _say(f"hwsim: {error}")
        return error.exit_code
    except _USAGE_ERROR as error:
        _say(f"hwsim: {error.format_message()}")  # type: ignore[attr-defined]
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # such as a folder that is not there
        _say(f"hwsim: {error.filename or 'input or output'}: {error.strerror or error}")
        return 2
    return code if isinstance(code, int) else 0


def _say(text: str) -> None:
    print(" ".join(text.split("\n")), file=sys.stderr, flush=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"hwsim {hwsim.__version__} (model version {hwsim.MODEL_VERSION})")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def demo(output: Output = Path("hwsim-demo"), jobs: Jobs = None) -> None:
    """Run the main job on bundled data, a few minutes on two cores, and write a report.

    Example: hwsim demo -o hwsim-demo
    """
    from importlib.resources import as_file, files

    from hwsim.report import html
    from hwsim.study.study import load_study

    with as_file(files("hwsim.study") / "demo.toml") as path:
        study = load_study(path)
    _run_study(study, output, jobs)
    _print_front(output)
    _say(f"report: {html.write(output)}")


@app.command()
def run(
    design: Annotated[Path, typer.Argument(metavar="DESIGN.toml", help="A design; an empty file is the default one.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a setting, as quantizer.w_bits=4.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    output: Output = RUNS,
    jobs: Jobs = None,
    data: DataFolder = None,
) -> None:
    """Evaluate one design; a design that was evaluated before is only looked up.

    Example: hwsim run design.toml --set quantizer.w_bits=4
    """
    import json

    from hwsim.design import override, parse_override, read_toml
    from hwsim.study.store import read_store
    from hwsim.study.study import Study

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
    from hwsim.study.study import load_study

    _set_data(data)
    _run_study(load_study(study), output, jobs)
    _say(f"table: {output / 'points.csv'}; next: hwsim pareto {output}, hwsim report {output}")


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
    from hwsim.report import html

    print(html.write(folder))


@app.command()
def table(
    folder: Folder,
    form: Annotated[Literal["csv", "jsonl", "parquet"], typer.Option("--format", help="What to print.")] = "csv",
) -> None:
    """Print every point of a study with all its columns.

    Example: hwsim table hwsim-demo --format csv > points.csv
    """
    from hwsim.study.table import rows, to_csv, to_jsonl, to_parquet

    study, results = _read(folder)
    content = rows(study.points(), results)
    if form == "parquet":
        if sys.stdout.isatty():
            raise HwsimError(f"parquet is not for a terminal: hwsim table {folder} --format parquet > points.parquet")
        sys.stdout.buffer.write(to_parquet(content))
    else:
        sys.stdout.write(to_csv(content) if form == "csv" else to_jsonl(content))


@app.command()
def explain(
    network: NetworkFile,
    layer: Annotated[str | None, typer.Option("--layer", metavar="L", help="Default: the last layer.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="C,H,W", help="One number per axis of the layer. Default: zeros.")
    ] = None,
    codes: Codes = None,
    sample: Annotated[int, typer.Option("--sample", metavar="N", help="Which sample.", min=0)] = 0,
    everything: Annotated[bool, typer.Option("--all", help="Leave no operand out.")] = False,
    as_json: Json = False,
) -> None:
    """Explain one output element of one layer: operands, sum, bits shifted out, tie, clip, and other rounding rules.

    Example: hwsim explain network.npz, or with a layer: hwsim explain network.npz --layer conv1 --at 0,3,4
    """
    import json
    from dataclasses import replace

    from hwsim.examine.explain import explain as explained
    from hwsim.examine.inputs import SEED, random_codes, read_codes
    from hwsim.examine.text import explanation_text
    from hwsim.network.file import load

    net = load(network)
    name = net.layers[-1].name if layer is None else layer
    place = (0,) * len(net.shapes[net[name].name]) if at is None else _numbers("--at", at)
    if layer is None:
        _say("layers: " + "; ".join(f"{one.name} {_sizes(net.shapes[one.name])}" for one in net.layers))
    if codes is None:
        _say(f"input: random codes, seed {SEED}, sample {sample}, as no --input is given")
        found = replace(explained(net, random_codes(net, sample), name, place), sample=sample)
    else:
        found = explained(net, read_codes(codes, net), name, place, sample)
    print(json.dumps(found.to_dict(), indent=2) if as_json else explanation_text(found, everything))


@app.command()
def trace(
    network: NetworkFile,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="RUN.npz", help="Where the run goes.")],
    codes: Codes = None,
) -> None:
    """Write the codes after every layer, by the definition, to an .npz with one integer array per layer.

    Example: hwsim trace network.npz --input codes.npy -o run.npz
    """
    from hwsim.examine.inputs import RANDOM_SAMPLES, SEED, random_codes, read_codes
    from hwsim.examine.runs import write_run
    from hwsim.examine.trace import trace as traced
    from hwsim.network.file import load

    net = load(network)
    if codes is None:
        _say(f"input: {RANDOM_SAMPLES} samples of random codes, seed {SEED}, as no --input is given")
    x = random_codes(net, samples=RANDOM_SAMPLES) if codes is None else read_codes(codes, net)
    write_run(output, traced(net, x))
    _say(f"run: {output}, {len(x)} samples; next: hwsim diff {output} OTHER.npz")


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run (.npz) or a network.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="RUN_B", help="It must have all layers of A.", show_default=False)],
    codes: Annotated[
        Path | None, typer.Option("--input", metavar="CODES.npy", help="What a network on either side gets to compute.")
    ] = None,
    common: Annotated[bool, typer.Option("--common", help="Compare only the layers that both have.")] = False,
    as_json: Json = False,
) -> None:
    """Find the first layer and element where two runs part. Exit 0: equal, 1: they differ, 2: bad input.

    A run is what hwsim trace writes, or the dump of another tool: an .npz with one integer array per layer.

    Example: hwsim diff network.npz dump.npz --input codes.npy
    """
    import json
    from dataclasses import asdict

    from hwsim.examine.diff_text import diff_text
    from hwsim.examine.sides import compare

    found = compare(a, b, codes, common)
    if found.note:
        _say(found.note)
    print(json.dumps(asdict(found.difference), indent=2) if as_json else diff_text(found))
    if not found.difference.equal:
        raise typer.Exit(1)


def _numbers(where: str, text: str) -> tuple[int, ...]:
    from hwsim.errors import BadInput

    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise BadInput(where, text, "whole numbers with commas between, such as 0,3,4") from None


def _sizes(shape: Sequence[int]) -> str:
    return ",".join(map(str, shape))


@app.command()
def cycles(
    workload: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD",
            help="A topology (.csv), a network (.npz), or a name such as resnet18.",
            show_default=False,
        ),
    ],
    accelerator: AcceleratorName = "tpu_like",
    array: ArraySize = None,
    dataflow: Annotated[Flow | None, typer.Option("--dataflow", help="Instead of the accelerator's own.")] = None,
    timing: Annotated[Profile | None, typer.Option("--timing", help="Convention of the counts.")] = None,
    iso_area: IsoArea = None,
    batch: Batch = 1,
    reading: Annotated[
        Literal["ceil", "floor", "padded"],
        typer.Option("--reading", help="Output sizes of a topology without padding: SCALE-Sim's, floor, or same size."),
    ] = "ceil",
    form: Annotated[Literal["text", "csv", "jsonl"], typer.Option("--format", help="What to print.")] = "text",
    causes: Annotated[bool, typer.Option("--causes", help="One column per cause instead of the summary.")] = False,
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="FILE.svg", help="Draw cycles, utilization and roofline.")
    ] = None,
) -> None:
    """Cycles, utilization and DRAM traffic of every layer; needs no weights and no data.

    Example: hwsim cycles resnet18 --array 32x32 --dataflow ws --timing scalesim --format csv
    """
    from hwsim.machine.analyse import analyse, total_row
    from hwsim.machine.choose import choose
    from hwsim.report.text import aligned
    from hwsim.study.table import to_csv, to_jsonl

    chosen, notes = choose(accelerator, array, dataflow, timing, iso_area)
    layers, more = _workload(workload, reading)
    for note in [*notes, *more, *chosen.notes()]:
        _say(note)
    reports = analyse(chosen, layers, batch)
    rows = [report.all_causes() if causes else report.row() for report in reports]
    if form == "text":
        _say(f"{accelerator}: {chosen.describe()}; batch {batch}")
        total = total_row(reports, causes)
        print(aligned([*rows, total], list(rows[0])))
    else:
        sys.stdout.write(to_csv(rows) if form == "csv" else to_jsonl(rows))
    if figure is not None:
        from hwsim.report.hardware import cycles_figure

        cycles_figure(chosen, reports, figure, batch, accelerator)
        _say(f"figure: {figure}")


@app.command()
def timeline(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD", help="As for hwsim cycles.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="TRACE.json", help="Where the trace goes.")],
    accelerator: AcceleratorName = "tpu_like",
    array: ArraySize = None,
    dataflow: Annotated[Flow | None, typer.Option("--dataflow", help="Instead of the accelerator's own.")] = None,
    batch: Batch = 1,
) -> None:
    """Write what array, DRAM and vector unit do, tile by tile, as a trace that Perfetto (ui.perfetto.dev) opens.

    Example: hwsim timeline resnet18 -o trace.json
    """
    from hwsim.machine.choose import choose
    from hwsim.machine.timeline import timeline as events_of
    from hwsim.machine.timeline import write_trace

    chosen, notes = choose(accelerator, array, dataflow)
    layers, more = _workload(workload, "ceil")
    for note in [*notes, *more]:
        _say(note)
    events = events_of(chosen, layers, batch)
    write_trace(events, chosen, output)
    _say(f"trace: {output}, {len(events)} events; open it in https://ui.perfetto.dev")


def _workload(text: str, reading: Literal["ceil", "floor", "padded"]) -> tuple[Any, list[str]]:
    """A network, or named products; and what there is to say about how it was read."""
    if text.endswith(".npz"):
        from hwsim.network.file import load

        return load(Path(text)), []
    from hwsim.interop.workloads import load_workload

    topology = load_workload(text, reading)
    return [(layer.name, layer.product) for layer in topology.layers], list(topology.notes)


@app.command("list")
def list_choices(
    family: Annotated[
        str | None, typer.Argument(metavar="[FAMILY]", help="One family only.", show_default=False)
    ] = None,
) -> None:
    """List what can be chosen by name, family by family.

    Example: hwsim list quantizer
    """
    from hwsim import registry
    from hwsim.report.text import aligned

    rows = [
        {"family": one, "name": name, "what it is": record.headline}
        for one in ([family] if family else registry.FAMILIES)
        for name, record in registry.family(one).items()
    ]
    print(aligned(rows, ["family", "name", "what it is"]))


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `hwsim list`.")]) -> None:
    """Explain one choice: what it is, its parameters with their defaults, and whom to cite.

    Example: hwsim show lira
    """
    from hwsim import registry
    from hwsim.errors import UnknownName
    from hwsim.report.text import explain

    records = [record for family in registry.FAMILIES for record in registry.family(family).values()]
    found = [record for record in records if record.name == name]
    if not found:
        raise UnknownName("show", name, {record.name for record in records})
    print("\n\n".join(explain(record) for record in found))


def _set_data(folder: Path | None) -> None:
    """Worker processes inherit the variable; where the data lies is no part of a design."""
    if folder is not None:
        os.environ["HWSIM_DATA"] = str(folder.absolute())


def _run_study(study: Study, folder: Path, jobs: int | None) -> None:
    from hwsim.study.engine import run_study
    from hwsim.study.progress import reporter
    from hwsim.study.workers import JobFailed

    try:
        run_study(study, folder, jobs, reporter(sys.stderr))
    except JobFailed as error:
        (folder / "failure.txt").write_text(error.details, encoding="utf-8")
        raise JobFailed(
            f"{error}. Finished points are kept; details: {folder / 'failure.txt'}", error.details
        ) from None
    except KeyboardInterrupt:
        _say("hwsim: stopped. What was finished is kept: run the same command again to go on.")
        raise typer.Exit(130) from None
    except OSError as error:
        raise HwsimError(f"{error.filename or folder}: {error.strerror or error}") from None


def _read(folder: Path) -> tuple[Study, Any]:
    from hwsim.study.store import read_store
    from hwsim.study.study import Study

    with read_store(folder) as store:
        return Study.from_mapping(store.study), store.results()


def _print_front(folder: Path) -> None:
    from hwsim.report.text import aligned
    from hwsim.study.table import front_of, rows

    study, results = _read(folder)
    content = rows(study.points(), results)
    front = [row for row, chosen in zip(content, front_of(content, study.objectives), strict=True) if chosen]
    if not front:
        _say(f"hwsim: {folder}: no finished point has all of {', '.join(study.objectives)}")
        raise typer.Exit(1)
    print(aligned(front, [*study.axes, *study.objectives]))
    senses = ", ".join(f"{name} ({sense})" for name, sense in study.objectives.items())
    _say(f"{len(front)} of {len(content)} points are on the front of {senses}")


if __name__ == "__main__":
    main()
