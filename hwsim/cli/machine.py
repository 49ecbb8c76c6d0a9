"""The commands that time a workload on an accelerator: cycles, timeline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hwsim.cli.app import app, print_status

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
Dataflow = Annotated[
    str | None,
    typer.Option("--dataflow", metavar="NAME", help="Another dataflow: a name from `hwsim list dataflow`."),
]
Profile = Literal["rtl", "scalesim", "stonne"]
Batch = Annotated[int, typer.Option("--batch", metavar="N", help="Images that share a layer's weights.", min=1)]


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
    dataflow: Dataflow = None,
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
    from hwsim.cli.accelerator_options import accelerator_from_options
    from hwsim.machine.layer_report import layer_reports, total_row
    from hwsim.report.text import aligned
    from hwsim.study.results.table import to_csv, to_jsonl

    chosen, notes = accelerator_from_options(accelerator, array, dataflow, timing, iso_area)
    layers, more = _workload(workload, reading)
    for note in [*notes, *more, *chosen.notes()]:
        print_status(note)
    reports = layer_reports(chosen, layers, batch)
    rows = [report.breakdown() if causes else report.row() for report in reports]
    if form == "text":
        print_status(f"{accelerator}: {chosen.describe()}; batch {batch}")
        total = total_row(reports, causes)
        print(aligned([*rows, total], list(rows[0])))
    else:
        sys.stdout.write(to_csv(rows) if form == "csv" else to_jsonl(rows))
    if figure is not None:
        from hwsim.report.figures.hardware import cycles_figure

        cycles_figure(chosen, reports, figure, batch, accelerator)
        print_status(f"figure: {figure}")


@app.command()
def timeline(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD", help="As for hwsim cycles.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="TRACE.json", help="Where the trace goes.")],
    accelerator: AcceleratorName = "tpu_like",
    array: ArraySize = None,
    dataflow: Dataflow = None,
    batch: Batch = 1,
    codes: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="RUN.npz|CODES.npy",
            help="Of a network: run this input, cycles that depend on it included.",
        ),
    ] = None,
    sample: Annotated[int, typer.Option("--sample", metavar="N", help="Which sample of the input.", min=0)] = 0,
) -> None:
    """Write what array, DRAM and vector unit do, tile by tile, as a trace that Perfetto (ui.perfetto.dev) opens.

    Example: hwsim timeline resnet18 -o trace.json
    """
    from hwsim.cli.accelerator_options import accelerator_from_options
    from hwsim.machine.trace.timeline import timeline as events_of
    from hwsim.machine.trace.timeline import write_trace

    chosen, notes = accelerator_from_options(accelerator, array, dataflow)
    layers, more = _workload(workload, "ceil")
    for note in [*notes, *more]:
        print_status(note)
    events = events_of(chosen, layers, batch) if codes is None else _events_of_sample(chosen, layers, codes, sample)
    write_trace(events, chosen, output)
    print_status(f"trace: {output}, {len(events)} events; open it in https://ui.perfetto.dev")


def _events_of_sample(accelerator: Any, network: Any, path: Path, sample: int) -> list[Any]:
    """The timeline of one sample of a file of codes, or of what `hwsim trace` wrote."""
    from hwsim.debug.inputs import read_codes
    from hwsim.errors import BadInput
    from hwsim.machine.simulate import layers_of_sample
    from hwsim.machine.trace.timeline import timeline_of
    from hwsim.network.graph import Network

    if not isinstance(network, Network):
        raise BadInput("--input", str(path), "an input only for a network (.npz); a topology has no weights")
    codes = read_codes(path, network)
    if sample >= len(codes):
        raise BadInput("--sample", sample, f"0 to {len(codes) - 1}, the samples of {path}")
    return timeline_of(accelerator, layers_of_sample(network, accelerator, codes[sample]))


def _workload(text: str, reading: Literal["ceil", "floor", "padded"]) -> tuple[Any, list[str]]:
    """A network, or named products; and what there is to say about how it was read."""
    if text.endswith(".npz"):
        from hwsim.network.file import load

        return load(Path(text)), []
    from hwsim.interop.topology.builtin import load_workload

    topology = load_workload(text, reading)
    return [(layer.name, layer.product) for layer in topology.layers], list(topology.notes)
