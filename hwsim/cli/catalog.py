"""Commands about the registry and the data sets: list, show, data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.app import Json, app


@app.command("list")
def list_choices(
    family: Annotated[
        str | None,
        typer.Argument(
            metavar="[FAMILY]", help="Family of choices, such as quantizer. Default: all families.", show_default=False
        ),
    ] = None,
) -> None:
    """List the names that designs and options can choose, by family.

    Example: hwsim list quantizer
    """
    from hwsim import registry
    from hwsim.report.text import aligned

    rows = [
        {"family": one, "name": name, "description": record.headline}
        for one in ([family] if family else registry.FAMILIES)
        for name, record in registry.family(one).items()
    ]
    print(aligned(rows, ["family", "name", "description"]))


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name from `hwsim list`, or an accelerator's TOML file.")
    ],
) -> None:
    """Show one choice: description, parameters with defaults, and citation.

    Example: hwsim show lira
    """
    from hwsim import registry
    from hwsim.errors import UnknownName
    from hwsim.machine.description.toml_file import is_accelerator_file, read_record
    from hwsim.report.text import explain

    if is_accelerator_file(name):
        print(explain(read_record(Path(name))))
        return
    records = [record for family in registry.FAMILIES for record in registry.family(family).values()]
    found = [record for record in records if record.name == name]
    if not found:
        raise UnknownName("show", name, {record.name for record in records})
    print("\n\n".join(explain(record) for record in found))


@app.command("data")
def data_sets(
    verify: Annotated[bool, typer.Option("--verify", help="Compare the checksums of all files.")] = False,
    as_json: Json = False,
    folder: Annotated[
        str | None, typer.Option("--data", metavar="DIR", envvar="HWSIM_DATA", help="Folder with the data sets.")
    ] = None,
) -> None:
    """List the data sets: present, missing or damaged, and how to get them.

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
