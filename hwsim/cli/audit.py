"""The command `audit`: membership inference on logits from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwsim.cli.app import Force, Json, app, print_status
from hwsim.errors import BadInput

if TYPE_CHECKING:
    from hwsim.privacy.audit.null_test import NullTest

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
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of all random draws.", min=0)] = 0,
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            metavar="0,2-5",
            help="Attack only these models; all models stay shadow models.",
            show_default=False,
        ),
    ] = None,
    permutations: Annotated[
        int | None,
        typer.Option(
            "--permutations",
            metavar="N",
            help="Draw memberships anew N times for a permutation test of every attack. [default: 49, for attacks on "
            "latency, energy and regions only]",
            min=0,
            show_default=False,
        ),
    ] = None,
    epsilon: Annotated[
        bool, typer.Option("--epsilon", help="Bound epsilon of differential privacy from below.")
    ] = False,
    delta: Annotated[float, typer.Option("--delta", metavar="X", help="Delta of that bound.")] = 0.0,
    confidence: Annotated[float, typer.Option("--confidence", metavar="X", help="Confidence of that bound.")] = 0.95,
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
    from hwsim.privacy.audit.null_test import DRAWS, permutation_test, reads_side_channel
    from hwsim.report.pages.audit_page import audit_rows, audit_text, check_audit_outputs, write_audit

    _check_bound(delta, confidence)
    chosen = parse_attacks(attacks)
    given = read(file, logit_scale)
    if report is not None:
        check_audit_outputs(report, force)
    if given.unused:
        print_status(f"arrays not used: {', '.join(given.unused)}")
    models = None if targets is None else parse_targets(targets, given.game.models)
    tested = chosen if permutations else [attack for attack in chosen if reads_side_channel(attack)]
    draws = DRAWS if permutations is None else permutations
    null_test = None
    with _Progress(len(chosen) + 1 + draws * bool(tested)) as progress:
        try:
            observed = given.observed(chosen)
            leakage = audit_arrays(
                observed, given.game, chosen, seed, targets=models, on_attack=progress.start, notes=given.notes
            )
            if tested and draws:
                null_test = permutation_test(observed, given.game, tested, seed, draws, models, progress.start)
        except BadInput as error:
            raise error if error.where.startswith(str(file)) else in_file(file, error) from None
    bounds = {r.label: r.epsilon_at_least(seed, delta, confidence) for r in leakage.results} if epsilon else None
    rows = audit_rows(leakage, null_test, bounds)
    print(json.dumps(rows, indent=2) if as_json else audit_text(leakage))
    if not as_json:
        _print_tests(null_test, bounds, delta, confidence)
    if report is not None:
        print_status(f"report: {write_audit(leakage, report, file.name, force, rows)}")


def parse_targets(text: str, models: int) -> list[int]:
    """Return the models that a text such as "0,2-5" names; raises BadInput.

    >>> parse_targets("0,2-4", models=6)
    [0, 2, 3, 4]
    """
    allowed = f"models 0 to {models - 1}, such as 0,2-5, each once"
    chosen: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
            raise BadInput("--targets", text, allowed)
        if max(len(first), len(last)) > 9 or int(last or first) >= models or int(last or first) < int(first):
            raise BadInput("--targets", text, allowed)
        chosen += range(int(first), int(last or first) + 1)
    if len(set(chosen)) < len(chosen):
        raise BadInput("--targets", text, allowed)
    return chosen


def _check_bound(delta: float, confidence: float) -> None:
    if not 0 <= delta < 1:
        raise BadInput("--delta", delta, "0 to 1, less than 1")
    if not 0 < confidence < 1:
        raise BadInput("--confidence", confidence, "between 0 and 1")


def _print_tests(
    null_test: NullTest | None, bounds: Mapping[str, float | None] | None, delta: float, confidence: float
) -> None:
    """Print the permutation test and the bounds on epsilon, where they were computed."""
    if null_test is not None:
        print(f"\n{null_test}")
    if bounds is not None:
        print(f"\nepsilon at least (delta {delta:g}, confidence {100 * confidence:g} %; the largest of the targets)")
        for label, bound in bounds.items():
            print(f"  {label}: {'too few samples' if bound is None else format(bound, '.3f')}")


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
