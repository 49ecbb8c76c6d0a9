"""The commands that tell what can be chosen by name, and which data are there: list, show, data."""

from __future__ import annotations

from typing import Annotated

import typer

from hwsim.cli.app import Json, app


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


@app.command("data")
def data_sets(
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare its checksums.")] = False,
    as_json: Json = False,
    folder: Annotated[
        str | None, typer.Option("--data", metavar="DIR", envvar="HWSIM_DATA", help="Folder with the data sets.")
    ] = None,
) -> None:
    """Say which data sets are there, which are missing or damaged, and how to get them.

    Example: hwsim data
    """
    import json
    import os
    from dataclasses import asdict

    from hwsim.datasets.files import DATA_VARIABLE
    from hwsim.datasets.inventory import inventory, inventory_table

    if folder:
        os.environ[DATA_VARIABLE] = folder
    entries = inventory(verify)
    print(json.dumps([asdict(entry) for entry in entries], indent=2) if as_json else inventory_table(entries))
    if any(entry.state == "damaged" for entry in entries):
        raise typer.Exit(1)
