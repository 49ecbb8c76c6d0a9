"""The command `audit`: membership inference on logits from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.app import Force, Json, app, print_status
from hwsim.errors import BadInput

QUIET_SECONDS = 2.0
"""Progress is printed only for an audit that takes longer than this."""


@app.command()
def audit(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.npz", help="Arrays logits, keep and labels; see above.", show_default=False),
    ],
    attacks: Annotated[
        str,
        typer.Option(
            "--attacks",
            metavar="A,B:P=V,...",
            help="Names from `hwsim list attack`, with parameters: lira:mode=offline,variance=pooled,rmia.",
        ),
    ] = "loss,lira,rmia",
    logit_scale: Annotated[
        float | None,
        typer.Option(
            "--logit-scale",
            metavar="X",
            help="Real value of one unit of the logits, in place of the array logit_scale.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write report.html, figures and results.json to this folder."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the bootstrap.", min=0)] = 0,
    force: Force = False,
) -> None:
    """Audit models for membership leakage: can members of their training sets be inferred from their logits?

    FILE.npz contains logits (models x samples x classes), real or integer; keep (models x samples), True or 1 where the
    sample trained the model; labels (samples). Every model is the target in turn, with the others as shadow models.

    Further arrays are read by name: the channels of `hwsim list channel` (models x samples x ...), such as
    latency_cycles; logit_scale (one number, or one per model), the real value of one unit of integer logits; and inputs
    (samples x ...) for the blind baseline, which must not separate members from non-members.

    Example: hwsim audit models.npz --attacks loss,lira --json
    """
    import json

    from hwsim.cli.attack_list import parse_attacks
    from hwsim.privacy.audit.audit import audit_arrays
    from hwsim.privacy.audit.npz_input import in_file, read
    from hwsim.report.pages.audit_page import audit_rows, audit_text, check_audit_outputs, write_audit

    chosen = parse_attacks(attacks)
    given = read(file, logit_scale)
    if report is not None:
        check_audit_outputs(report, force)
    if given.unused:
        print_status(f"arrays not used: {', '.join(given.unused)}")
    with _Progress(len(chosen) + 1) as progress:
        try:
            leakage = audit_arrays(
                given.observed(chosen), given.game, chosen, seed, on_attack=progress.start, notes=given.notes
            )
        except BadInput as error:
            raise error if error.where.startswith(str(file)) else in_file(file, error) from None
    print(json.dumps(audit_rows(leakage), indent=2) if as_json else audit_text(leakage))
    if report is not None:
        print_status(f"report: {write_audit(leakage, report, file.name, force)}")


class _Progress:
    """Prints the running attack on standard error once QUIET_SECONDS have passed."""

    def __init__(self, steps: int) -> None:
        from threading import Lock, Timer

        self._steps, self._started, self._line = steps, 0, ""
        self._printing, self._lock = False, Lock()
        self._timer = Timer(QUIET_SECONDS, self._begin_printing)
        self._timer.daemon = True

    def __enter__(self) -> _Progress:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def start(self, label: str) -> None:
        """Record the attack that starts, and print it after QUIET_SECONDS."""
        with self._lock:
            self._line = f"[{self._started / self._steps:4.0%}] {label}"
            self._started += 1
            if self._printing:
                print_status(self._line)

    def _begin_printing(self) -> None:
        with self._lock:
            self._printing = True
            if self._line:
                print_status(self._line)
