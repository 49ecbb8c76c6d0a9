"""Commands for debugging a network: explain, trace, diff."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.app import Force, Json, app, print_status

NetworkFile = Annotated[
    Path, typer.Argument(metavar="NETWORK", help="A network file, from hwsim.save.", show_default=False)
]
Codes = Annotated[
    Path | None,
    typer.Option(
        "--input",
        metavar="CODES.npy",
        help="Integer codes, samples first. Default: random codes of a fixed seed.",
    ),
]


@app.command()
def explain(
    network: NetworkFile,
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="L", help="Name of the layer. Default: the last layer.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="C,H,W", help="Index, one number per axis of the layer's output. Default: zeros."),
    ] = None,
    codes: Codes = None,
    sample: Annotated[int, typer.Option("--sample", metavar="N", help="Index of the sample.", min=0)] = 0,
    everything: Annotated[bool, typer.Option("--all", help="Show all operands.")] = False,
    as_json: Json = False,
) -> None:
    """Explain one output element of one layer: operands, sum, bits shifted out, tie, clip, other rounding rules.

    Example: hwsim explain network.npz, or with a layer: hwsim explain network.npz --layer conv1 --at 0,3,4
    """
    import json
    from dataclasses import replace

    from hwsim.debug.explain import explain as explain_element
    from hwsim.debug.inputs import SEED, random_codes, read_codes
    from hwsim.debug.text import explanation_text
    from hwsim.network.file import load

    net = load(network)
    name = net.layers[-1].name if layer is None else layer
    place = (0,) * len(net.shapes[net[name].name]) if at is None else _numbers("--at", at)
    if layer is None:
        print_status("layers: " + "; ".join(f"{one.name} {_sizes(net.shapes[one.name])}" for one in net.layers))
    if codes is None:
        print_status(f"input: random codes, seed {SEED}, sample {sample}; choose others with --input")
        found = replace(explain_element(net, random_codes(net, sample), name, place), sample=sample)
    else:
        found = explain_element(net, read_codes(codes, net), name, place, sample)
    print(json.dumps(found.to_dict(), indent=2) if as_json else explanation_text(found, everything))


@app.command()
def trace(
    network: NetworkFile,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="RUN.npz", help="File to write.")],
    codes: Codes = None,
    force: Force = False,
) -> None:
    """Compute the codes of all layers by the definition and write them to an .npz, one integer array per layer.

    Example: hwsim trace network.npz --input codes.npy -o run.npz
    """
    from hwsim.debug.inputs import RANDOM_SAMPLES, SEED, random_codes, read_codes
    from hwsim.debug.runs import write_run
    from hwsim.debug.trace import trace as trace_layers
    from hwsim.files.writing import ZIP, check_output
    from hwsim.network.file import load

    net = load(network)
    check_output(output, ZIP, force)
    if codes is None:
        print_status(f"input: {RANDOM_SAMPLES} samples of random codes, seed {SEED}; choose others with --input")
    x = random_codes(net, samples=RANDOM_SAMPLES) if codes is None else read_codes(codes, net)
    write_run(output, trace_layers(net, x), force)
    print_status(f"run: {output}, {len(x)} samples; next: hwsim diff {output} OTHER.npz")


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run (.npz) or a network.", show_default=False)],
    b: Annotated[
        Path,
        typer.Argument(metavar="RUN_B", help="A run (.npz) or a network, with all layers of A.", show_default=False),
    ],
    codes: Annotated[
        Path | None,
        typer.Option("--input", metavar="CODES.npy", help="Integer input codes for a network, samples first."),
    ] = None,
    common: Annotated[bool, typer.Option("--common", help="Compare only the layers of both runs.")] = False,
    as_json: Json = False,
) -> None:
    """Find the first layer and element where two runs differ. Exit 0: equal, 1: different, 2: bad input.

    A run is the output of hwsim trace, or of another tool: an .npz with one integer array per layer.

    Example: hwsim diff network.npz dump.npz --input codes.npy
    """
    import json
    from dataclasses import asdict

    from hwsim.debug.comparison import compare
    from hwsim.debug.diff_text import diff_text

    found = compare(a, b, codes, common)
    if found.note:
        print_status(found.note)
    print(json.dumps(asdict(found.difference), indent=2) if as_json else diff_text(found))
    if not found.difference.equal:
        raise typer.Exit(1)


def _numbers(where: str, text: str) -> tuple[int, ...]:
    from hwsim.errors import BadInput

    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise BadInput(where, text, "whole numbers separated by commas, such as 0,3,4") from None


def _sizes(shape: Sequence[int]) -> str:
    return ",".join(map(str, shape))
