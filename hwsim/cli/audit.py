"""The command that audits logits of the user's own: audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwsim.cli.app import Json, app, print_status
from hwsim.errors import BadInput

if TYPE_CHECKING:
    from hwsim.privacy.attack_tools.attack import Attack

QUIET_SECONDS = 2.0
"""An audit that takes no longer than this says nothing about its progress."""


@app.command()
def audit(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.npz", help="Arrays logits, keep and labels; see below.", show_default=False),
    ],
    attacks: Annotated[
        str, typer.Option("--attacks", metavar="A,B,...", help="Names from `hwsim list attack`, with commas between.")
    ] = "loss,lira,rmia",
    as_json: Json = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write report.html, figures and results.json there."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Fixes the bootstrap.", min=0)] = 0,
) -> None:
    """Attack your own models: how well can members of their training sets be told from non-members?

    FILE.npz holds logits (models x samples x classes), real or integer; keep (models x samples), True or 1 where the
    sample trained the model; labels (samples). Every model is the target in turn, the others are its shadows.

    Further arrays are read by their names: the channels of `hwsim list channel` (models x samples x ...), such as
    latency_cycles; and inputs (samples x ...), for the blind baseline, which must not tell members apart.

    Example: hwsim audit models.npz --attacks loss,lira --json
    """
    import json

    from hwsim.privacy.audit.audit import audit_arrays
    from hwsim.privacy.audit.npz_input import in_file, read
    from hwsim.report.pages.audit_page import audit_rows, audit_text, write_audit

    chosen = _attacks(attacks)
    found = read(file)
    if found.unused:
        print_status(f"arrays not used: {', '.join(found.unused)}")
    with _Progress(len(chosen) + 1) as progress:
        try:
            leakage = audit_arrays(found.observed(chosen), found.game, chosen, seed, told=progress.starts)
        except BadInput as error:
            raise error if error.where.startswith(str(file)) else in_file(file, error) from None
    print(json.dumps(audit_rows(leakage), indent=2) if as_json else audit_text(leakage))
    if report is not None:
        print_status(f"report: {write_audit(leakage, report, file.name)}")


def _attacks(text: str) -> list[Attack]:
    from hwsim import registry

    names = [name.strip() for name in text.split(",")]
    if len(set(names)) < len(names):
        raise BadInput("--attacks", text, "each attack once")
    return [registry.find("attack", name, "--attacks").factory() for name in names]  # type: ignore[misc]


class _Progress:
    """Says on standard error which attack is at work, once two seconds have passed."""

    def __init__(self, steps: int) -> None:
        from threading import Lock, Timer

        self._steps, self._begun, self._now = steps, 0, ""
        self._loud, self._lock = False, Lock()
        self._timer = Timer(QUIET_SECONDS, self._speak_up)
        self._timer.daemon = True

    def __enter__(self) -> _Progress:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def starts(self, label: str) -> None:
        """Remember what is at work, and say it if it is time."""
        with self._lock:
            self._now = f"[{self._begun / self._steps:4.0%}] {label}"
            self._begun += 1
            if self._loud:
                print_status(self._now)

    def _speak_up(self) -> None:
        with self._lock:
            self._loud = True
            if self._now:
                print_status(self._now)
