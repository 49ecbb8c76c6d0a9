"""Commands that time a workload on an accelerator: cycles, timeline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hwsim.cli.app import Force, app, print_status

AcceleratorName = Annotated[
    str, typer.Option("--accelerator", metavar="NAME", help="A name from `hwsim list accelerator`, or a TOML file.")
]
ArraySize = Annotated[
    str | None,
    typer.Option("--array", metavar="ROWSxCOLS", help="Size of the array, such as 32x32."),
]
IsoArea = Annotated[
    str | None,
    typer.Option(
        "--iso-area",
        metavar="AREA|NAME",
        help="Size the array to an area, such as 1.5mm2, or to the PE area of another accelerator.",
    ),
]
Dataflow = Annotated[
    str | None,
    typer.Option("--dataflow", metavar="NAME", help="Another dataflow: a name from `hwsim list dataflow`."),
]
MappingObjective = Annotated[
    str | None,
    typer.Option("--mapping", metavar="NAME", help="Objective of the tiles: balanced, latency or dram_traffic."),
]
OutputSize = Literal["ceil", "floor", "padded"]
Batch = Annotated[
    int,
    typer.Option("--batch", metavar="N", help="Samples that share the loaded weights of a layer.", min=1),
]


@app.command()
def cycles(
    workload: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD",
            help="A topology (.csv), a network (.npz), or a built-in name such as resnet18.",
            show_default=False,
        ),
    ],
    accelerator: AcceleratorName = "tpu_like",
    array: ArraySize = None,
    dataflow: Dataflow = None,
    timing: Annotated[
        Literal["rtl", "scalesim", "stonne"] | None,
        typer.Option("--timing", help="Timing model: hwsim's RTL, or the convention of another simulator."),
    ] = None,
    iso_area: IsoArea = None,
    mapping: MappingObjective = None,
    batch: Batch = 1,
    w_bits: Annotated[
        int | None, typer.Option("--w-bits", metavar="N", help="Bits of the weights of a topology.", min=1, max=16)
    ] = None,
    a_bits: Annotated[
        int | None, typer.Option("--a-bits", metavar="N", help="Bits of the activations of a topology.", min=1, max=16)
    ] = None,
    technology: Annotated[
        str, typer.Option("--technology", metavar="NAME", help="Prices: a name from `hwsim list technology`.")
    ] = "nangate45",
    output_size: Annotated[
        OutputSize,
        typer.Option(
            "--output-size",
            help="How output sizes follow from a topology file: ceil as SCALE-Sim, floor, or padded to stride.",
        ),
    ] = "ceil",
    form: Annotated[
        Literal["text", "csv", "jsonl"], typer.Option("--format", help="Format of the standard output.")
    ] = "text",
    breakdown: Annotated[
        bool, typer.Option("--breakdown", help="Print the cycles of each cause instead of the summary.")
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", metavar="FILE.svg", help="Draw the panels to an .svg, .pdf or .png file."),
    ] = None,
    panels: Annotated[
        str, typer.Option("--panels", metavar="A,B,...", help="Panels of the figure: cycles, utilization, roofline.")
    ] = "cycles,utilization,roofline",
    force: Force = False,
) -> None:
    """Print cycles, utilization, traffic, time and energy of every layer. Weights and data are not needed.

    Example: hwsim cycles resnet18 --array 32x32 --dataflow ws --timing scalesim --format csv
    """
    from hwsim.cli.accelerator_options import accelerator_from_options, accelerator_label
    from hwsim.machine.layer_report import layer_reports, total_row
    from hwsim.report.text import aligned
    from hwsim.study.results.table import to_csv, to_jsonl

    chosen, notes = accelerator_from_options(accelerator, array, dataflow, timing, iso_area, mapping)
    prices, price_notes = _prices(technology, chosen)
    layers, workload_notes = _workload(workload, output_size)
    layers = _with_bits(layers, a_bits, w_bits)
    for note in [*notes, *workload_notes, *chosen.notes(), *price_notes]:
        print_status(note)
    if figure is not None:
        from hwsim.report.figures.base import check_figure
        from hwsim.report.figures.hardware import cycles_figure

        check_figure(figure, force)
    reports = layer_reports(chosen, layers, batch, prices)
    rows = [report.breakdown() if breakdown else report.row() for report in reports]
    if form == "text":
        print_status(f"{accelerator_label(accelerator)}: {chosen.describe()}; batch {batch}")
        total = total_row(reports, breakdown)
        print(aligned([*rows, total], list(rows[0])))
        print(_per_sample(reports, batch, prices.label))
    else:
        sys.stdout.write(to_csv(rows) if form == "csv" else to_jsonl(rows))
    if figure is not None:
        title, shown = accelerator_label(accelerator), [name.strip() for name in panels.split(",")]
        cycles_figure(chosen, reports, figure, batch, title, shown, force)
        print_status(f"figure: {figure}")


@app.command()
def timeline(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD", help="As for hwsim cycles.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="TRACE.json", help="File for the trace.")],
    accelerator: AcceleratorName = "tpu_like",
    array: ArraySize = None,
    dataflow: Dataflow = None,
    mapping: MappingObjective = None,
    batch: Batch = 1,
    codes: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="RUN.npz|CODES.npy",
            help="Input of a network, for cycles that depend on the data.",
        ),
    ] = None,
    sample: Annotated[int, typer.Option("--sample", metavar="N", help="Index of the sample in the input.", min=0)] = 0,
    force: Force = False,
) -> None:
    """Write the activity of array, DRAM and vector unit, tile by tile, as a trace for Perfetto (ui.perfetto.dev).

    Example: hwsim timeline resnet18 -o trace.json
    """
    from hwsim.cli.accelerator_options import accelerator_from_options, accelerator_label
    from hwsim.files.writing import TRACE, check_output
    from hwsim.machine.trace.timeline import timeline as events_of
    from hwsim.machine.trace.timeline import write_trace

    chosen, notes = accelerator_from_options(accelerator, array, dataflow, mapping=mapping)
    print_status(f"{accelerator_label(accelerator)}: {chosen.describe()}; batch {batch}")
    layers, workload_notes = _workload(workload, "ceil")
    for note in [*notes, *workload_notes, *chosen.notes()]:
        print_status(note)
    check_output(output, TRACE, force)
    events = events_of(chosen, layers, batch) if codes is None else _events_of_sample(chosen, layers, codes, sample)
    write_trace(events, chosen, output, force)
    print_status(f"trace: {output}, {len(events)} events; open it in https://ui.perfetto.dev")


def _events_of_sample(accelerator: Any, network: Any, path: Path, sample: int) -> list[Any]:
    """Return the timeline of one sample from a file of codes or a run of `hwsim trace`."""
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


def _prices(name: str, accelerator: Any) -> tuple[Any, list[str]]:
    """Return a technology, which extrapolates where a scratchpad is not in the memory table, and notes about it."""
    from hwsim import registry
    from hwsim.machine.cost.memory_energy import memory_notes

    registry.find("technology", name, "--technology")
    prices = registry.build("technology", name)
    notes = memory_notes(accelerator, prices)
    if any(note.startswith("extrapolated") for note in notes):
        prices = registry.build("technology", name, extrapolate=True)
    return prices, notes


def _with_bits(layers: Any, a_bits: int | None, w_bits: int | None) -> Any:
    """Return the products of a topology with other operand widths; a second activation has the width of the first."""
    from dataclasses import replace

    from hwsim.errors import BadInput
    from hwsim.network.graph import Network

    if a_bits is None and w_bits is None:
        return layers
    if isinstance(layers, Network):
        option, given = ("--a-bits", a_bits) if a_bits is not None else ("--w-bits", w_bits)
        raise BadInput(option, given, "a topology; the widths of a network (.npz) are those of its quantizer")
    return [
        (
            name,
            replace(
                product,
                a_bits=a_bits or product.a_bits,
                w_bits=(w_bits if product.second_is_weight else a_bits) or product.w_bits,
            ),
        )
        for name, product in layers
    ]


def _per_sample(reports: Any, batch: int, technology: str) -> str:
    """Return one line: time and throughput of the batch, and the energy of a sample."""
    seconds = max(sum(report.time_s for report in reports), 1e-12)
    energy_pj = sum(report.energy_pj for report in reports)
    return (
        f"{seconds * 1e3:.4g} ms, {batch / seconds:.4g} samples per second, "
        f"{energy_pj / batch / 1e9:.4g} mJ per sample (static prices, {technology})"
    )


def _workload(text: str, output_size: OutputSize) -> tuple[Any, list[str]]:
    """Return a network or named products, and notes on how they were read."""
    if text.endswith(".npz"):
        from hwsim.network.file import load

        return load(Path(text)), []
    from hwsim.interop.topology.builtin import load_workload

    topology = load_workload(text, output_size)
    return [(layer.name, layer.product) for layer in topology.layers], list(topology.notes)
