"""The membership audit: every model is the target in turn, every attack scores it, and scores become statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput
from hwsim.kernels.membership.bootstrap import places_of, resampled_rates
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Observed, Scores, view_game
from hwsim.privacy.attack_tools.shadow_selection import samples_without_shadows
from hwsim.privacy.audit.blind_baseline import BlindCache, blind_scores, is_shift
from hwsim.privacy.audit.leakage import MAX_FPRS, AttackResult, Leakage, predicted_at_best
from hwsim.privacy.audit.logit_scale import notes_on
from hwsim.privacy.audit.null_test import DRAWS, NullTest, permutation_test
from hwsim.privacy.game import Game
from hwsim.privacy.observation.observe import Observation, stack
from hwsim.privacy.sample_keys import content_keys
from hwsim.privacy.statistics.bootstrap import RESAMPLES, resample_seeds
from hwsim.privacy.statistics.components import auc_components, mean_of_two, ratio_components
from hwsim.privacy.statistics.mean_over_targets import Statistic, of_components, of_resamples
from hwsim.privacy.statistics.roc import MIN_FALSE_POSITIVES, roc

BLIND = "blind"
"""Label of the blind baseline, which reads no model."""

_MIN_PER_CLASS = 10
"""Smallest number of members and of non-members of a target."""

_BLIND_TARGETS = 2
"""Number of targets of the blind baseline; two suffice, because all rows of `keep` are drawn alike."""


def audit(
    observations: Sequence[Observation],
    game: Game,
    attacks: Sequence[Attack],
    seed: int,
    resamples: int = RESAMPLES,
    targets: Sequence[int] | None = None,
    inputs: NDArray[Any] | None = None,
    blind: bool = True,
    blind_cache: BlindCache | None = None,
) -> Leakage:
    """Run attacks on every model in turn, with the other models as its shadow models.

    Parameters
    ----------
    observations : one Observation per model of the game, all made in the same way, so that the shadows match the target
    game : membership and labels
    attacks : attacks with different labels
    seed : seed of the bootstrap
    resamples : number of bootstrap resamples
    targets : models to attack, all by default
    inputs : [sample, ...], inputs of the models for the blind baseline; by default the channel `inputs`, else none
    blind : whether to compute the blind baseline
    blind_cache : blind scores of earlier audits of the same game

    Raises BadInput when an attack lacks a channel or models or gives scores that are not finite, when two attacks have
    one label, or when a target has fewer than 10 members or non-members.
    """
    if not isinstance(game, Game):
        raise BadInput("game", f"a {type(game).__name__}", "a Game")
    if not isinstance(observations, Sequence) or not all(isinstance(one, Observation) for one in observations):
        raise BadInput("observations", f"a {type(observations).__name__}", "a list of Observation, one per model")
    if len(observations) != game.models:
        raise BadInput("observations", f"{len(observations)} models", f"{game.models}, one per model of the game")
    if observations[0].samples != game.samples:
        raise BadInput("observations", f"{observations[0].samples} samples", f"{game.samples}, as in the game")
    if inputs is None:
        inputs = observations[0].channels.get("inputs")
    return audit_arrays(
        stack(observations),
        game,
        attacks,
        seed,
        resamples,
        targets,
        inputs,
        threat_model=observations[0].threat_model,
        blind=blind,
        blind_cache=blind_cache,
        notes=_notes(observations),
    )


def audit_arrays(
    observed: Observed,
    game: Game,
    attacks: Sequence[Attack],
    seed: int,
    resamples: int = RESAMPLES,
    targets: Sequence[int] | None = None,
    inputs: NDArray[Any] | None = None,
    threat_model: str = "one query per sample",
    on_attack: Callable[[str], None] = lambda label: None,
    blind: bool = True,
    blind_cache: BlindCache | None = None,
    notes: Sequence[str] = (),
) -> Leakage:
    """Run attacks on channels that are arrays already, [model, sample, ...].

    `on_attack` is called with the label of each attack before it starts, `notes` are the first warnings; the other
    parameters and the errors are those of `audit`.
    """
    chosen = tuple(range(game.models)) if targets is None else tuple(targets)
    _check(observed, game, attacks, resamples, chosen)
    seeds = resample_seeds(resamples, seed)
    member = game.keep[list(chosen)]
    if inputs is None and "inputs" in observed:
        inputs = observed["inputs"][0]
    baseline = None
    blind_targets = chosen[:: ceil_div(len(chosen), _BLIND_TARGETS)]
    if blind:
        on_attack(BLIND)
        scores = _blind_scores(inputs, observed, game, blind_targets, blind_cache)
        baseline = attack_result(BLIND, scores, game.keep[list(blind_targets)], seeds, trained=False)
    view = view_game(observed, game.keep, game.labels, chosen)
    results = []
    for attack in attacks:
        on_attack(attack.label)
        scores, choices = attack.scored(view)
        results.append(replace(attack_result(attack.label, scores, member, seeds), choices=choices))
    members = member.sum(axis=1, dtype=np.int64)
    nonmembers = game.samples - members
    warnings = (
        *notes,
        *_few_targets(len(chosen)),
        *_unsupported_rates(int(nonmembers.min())),
        *_missing_shadows(attacks, view),
        *(_shift(baseline, game, blind_targets) if baseline else ()),
    )
    return Leakage(tuple(results), baseline, threat_model, game, chosen, seed, members, nonmembers, warnings)


def audit_null(
    observations: Sequence[Observation],
    game: Game,
    attacks: Sequence[Attack],
    seed: int,
    draws: int = DRAWS,
    targets: Sequence[int] | None = None,
) -> NullTest:
    """Run the attacks on the true membership and on `draws` memberships drawn anew, a permutation test.

    The p-values of the result are exact where the interval of an AUC may be too narrow, as for side channels of models
    that differ as a whole. AUCs with membership drawn anew that are not around one half show a fault in the attack.
    Parameters and errors are those of `audit`.
    """
    observed = stack(observations)
    _check(observed, game, attacks, 2, tuple(range(game.models)) if targets is None else tuple(targets))
    return permutation_test(observed, game, attacks, seed, draws, targets)


def _notes(observations: Sequence[Observation]) -> tuple[str, ...]:
    """Return what is assumed about the logits of all models."""
    if "logits" not in observations[0].channels:
        return ()
    each = [notes_on(o.channels["logits"][None], o.logit_scale is not None) for o in observations]
    return tuple(note for note in each[0] if all(note in others for others in each))


def _check(observed: Observed, game: Game, attacks: Sequence[Attack], resamples: int, targets: tuple[int, ...]) -> None:
    wrong = [target for target in targets if not 0 <= target < game.models]
    if wrong or not targets or len(set(targets)) < len(targets):
        raise BadInput("targets", str(list(targets)), f"models 0 to {game.models - 1}, each once")
    members = game.keep[list(targets)].sum(axis=1)
    fewest = int(min(members.min(), game.samples - members.max()))
    if fewest < _MIN_PER_CLASS:
        kind = "members" if fewest == members.min() else "non-members"
        raise BadInput("game.samples", f"a target with {fewest} {kind}", f"{_MIN_PER_CLASS} or more of each")
    if resamples < 2:
        raise BadInput("resamples", resamples, "2 or more")
    repeated = [label for label, n in Counter(a.label for a in attacks).items() if n > 1]
    if repeated:
        raise BadInput("attacks", f"{repeated[0]} twice", "each attack once")
    for attack in attacks:
        for channel in attack.needs:
            if channel not in observed:
                names = ", ".join(observed)
                raise BadInput("channels", names, f"channels with {channel}, which the attack {attack.label} needs")
        if game.models < attack.min_models:
            allowed = f"{attack.min_models} or more for the attack {attack.label}"
            raise BadInput("game.models", game.models, allowed)


def attack_result(
    label: str, scores: Scores, member: NDArray[np.bool_], seeds: NDArray[np.uint64], trained: bool = True
) -> AttackResult:
    """Return the statistics of an attack's scores.

    `scores` is float64 and `member` bool [target, sample]. `seeds` uint64 [resample] draw the samples for the rates at
    low error rates. `trained` is False for scores that no trained model plays a part in.
    """
    if scores.shape != member.shape or not np.isfinite(scores).all():
        raise BadInput(f"attack {label}", f"scores {scores.shape}", f"finite scores {member.shape}")
    curves = [roc(scores[t], member[t]) for t in range(len(member))]
    places = places_of(scores, member)
    predicted = predicted_at_best(scores, curves)
    of_both = mean_of_two(ratio_components(predicted & member, member), ratio_components(~predicted & ~member, ~member))
    draws = resampled_rates(places, seeds, np.array(MAX_FPRS))

    def rate(which: int, values: list[float]) -> Statistic:
        return of_resamples(np.array(values), draws[which], trained=trained)

    return AttackResult(
        label,
        auc=of_components(auc_components(places, member), trained=trained),
        balanced_accuracy=of_components(of_both, trained=trained, hindsight=True),
        tpr_at_fpr={fpr: rate(k, [c.tpr_at_fpr(fpr) for c in curves]) for k, fpr in enumerate(MAX_FPRS)},
        tnr_at_fnr={
            fnr: rate(len(MAX_FPRS) + k, [c.tnr_at_fnr(fnr) for c in curves]) for k, fnr in enumerate(MAX_FPRS)
        },
        scores=scores,
        member=member,
    )


def _few_targets(targets: int) -> tuple[str, ...]:
    """Return a warning where the intervals cannot cover the differences between models, or hardly."""
    if targets == 1:
        return ("one target: the intervals cover other samples only, not other models",)
    return ("two targets: the intervals are wide, because two models hardly show how models differ",) * (targets == 2)


def _unsupported_rates(nonmembers: int) -> tuple[str, ...]:
    """Return a warning for each false-positive rate that this number of non-members cannot support."""
    return tuple(
        f"tpr_at_fpr_{fpr} rests on {fpr * nonmembers:g} false positives per target, fewer than {MIN_FALSE_POSITIVES}"
        for fpr in MAX_FPRS
        if fpr * nonmembers < MIN_FALSE_POSITIVES
    )


def _missing_shadows(attacks: Sequence[Attack], view: GameView) -> tuple[str, ...]:
    """Return a warning for each attack with samples that lack the shadow models to compare with."""
    counts = {
        attack.label: int(samples_without_shadows(view, attack.shadow_requirement).max())
        for attack in attacks
        if attack.shadow_requirement
    }
    return tuple(
        f"{label}: up to {count} samples of a target lack IN or OUT shadow models and have a score in the middle"
        for label, count in counts.items()
        if count
    )


def _blind_scores(
    inputs: NDArray[Any] | None,
    observed: Observed,
    game: Game,
    targets: tuple[int, ...],
    cache: BlindCache | None,
) -> Scores:
    """Return the scores of the blind baseline, float64 [target, sample]; with inputs, through the cache if given."""
    if inputs is None:
        return blind_scores(None, game.labels, game.keep, targets, _sample_keys(observed, game, targets))
    flat = np.ascontiguousarray(inputs.reshape(len(inputs), -1))
    compute = cache.scores if cache is not None else blind_scores
    return compute(flat, game.labels, game.keep, targets)


def _sample_keys(observed: Observed, game: Game, targets: tuple[int, ...]) -> NDArray[np.uint64]:
    """Return keys uint64 [sample] from labels, membership in models that are no targets, and some observed values."""
    others = np.delete(game.keep, targets, axis=0).T
    values = [np.moveaxis(channel[:8], 0, 1).reshape(game.samples, -1)[:, :64] for channel in observed.values()]
    return content_keys(game.labels, others, *values)


def _shift(blind: AttackResult, game: Game, targets: tuple[int, ...]) -> tuple[str, ...]:
    """Return a warning if the blind baseline separates members from non-members."""
    if not is_shift(blind.scores, game.keep, targets):
        return ()
    low, high = blind.auc.ci
    return (
        "distribution shift: a classifier that reads no model separates members from non-members, "
        f"AUC {blind.auc.mean:.3f} [{low:.3f}, {high:.3f}], so the attacks may find the same difference",
    )
