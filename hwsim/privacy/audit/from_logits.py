"""Attacks on logits and a membership matrix given as arrays, and the channels that logits contain."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import Scores, view_game
from hwsim.privacy.attack_tools.log_entropy import log_softmax
from hwsim.privacy.audit.logit_scale import notes_on, scaled
from hwsim.privacy.game import Game
from hwsim.privacy.observation.observe import observe_floats
from hwsim.registry import build

FROM_LOGITS = ("label", "top_k", "probabilities", "logits")
"""The channels that can be computed from logits."""


def score(
    attack: Attack | str,
    logits: NDArray[Any],
    keep: NDArray[Any],
    labels: NDArray[Any],
    targets: Sequence[int] | None = None,
    logit_scale: Any = None,
) -> Scores:
    """Score every sample against every target from logits alone, float64 [target, sample]; larger is more member-like.

    `hwsim.privacy.statistics.roc.roc(scores[t], keep[t])` evaluates the scores of target t.

    Parameters
    ----------
    attack : a name of the registry or an Attack
    logits : [model, sample, class], real numbers or output integers of an accelerator
    keep : [model, sample], True or 1 where the sample is a member of the model
    labels : [sample], integers from 0 on
    targets : models to score, every model in turn by default; the other models are the shadow models
    logit_scale : real value of one unit of `logits`, one number or one per model; 1 by default

    Warns of whole numbers without a scale, and of probabilities in the place of logits (UserWarning). Raises BadInput
    for arrays that do not fit, are not finite or lack members, and for an attack that needs other channels or more
    models.

    >>> rng = np.random.default_rng(0)
    >>> score("loss", rng.normal(size=(4, 6, 3)), np.arange(24).reshape(4, 6) % 5 < 2, np.zeros(6, int)).shape
    (4, 6)
    """
    chosen: Attack = build("attack", attack) if isinstance(attack, str) else attack
    game = game_of(logits, keep, labels)
    for note in notes_on(logits, logit_scale is not None):
        warnings.warn(note, stacklevel=2)
    logits = scaled(logits, logit_scale)
    observed: dict[str, NDArray[Any]] = {}
    for channel in chosen.needs:
        if channel not in FROM_LOGITS:
            raise BadInput(
                f"attack {chosen.label}", f"the channel {channel}", f"channels of logits: {', '.join(FROM_LOGITS)}"
            )
        observed |= channel_of(logits, channel, chosen)
    if game.models < chosen.min_models:
        raise BadInput("keep", f"{game.models} models", f"{chosen.min_models} or more for the attack {chosen.label}")
    return chosen.scores(view_game(observed, game.keep, game.labels, targets))


def game_of(logits: NDArray[Any], keep: NDArray[Any], labels: NDArray[Any]) -> Game:
    """Return the game of these arrays, shaped as for `score`; raises BadInput where they do not make one.

    >>> logits = np.zeros((3, 2, 2))
    >>> game_of(logits, np.array([[1, 0], [0, 1], [1, 1]]), np.array([0, 1])).models
    3
    """
    if logits.ndim != 3 or logits.dtype.kind not in "fiu" or logits.shape[2] < 2:
        given = f"{logits.dtype} {logits.shape}"
        raise BadInput("logits", given, "real numbers [models, samples, classes], two classes or more")
    require_finite("logits", logits)
    models, samples, classes = logits.shape
    _require_shape("keep", keep, (models, samples))
    if keep.dtype.kind not in "biu" or not ((keep == 0) | (keep == 1)).all():
        raise BadInput("keep", _first_other_than_0_and_1(keep), "False and True, or 0 and 1")
    _require_shape("labels", labels, (samples,))
    if labels.dtype.kind not in "iu":
        raise BadInput("labels", f"{labels.dtype} numbers", f"integers 0 to {classes - 1}, the classes of the logits")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        given = f"{labels[wrong[0]]} at sample {wrong[0]}"
        raise BadInput("labels", given, f"0 to {classes - 1}, the classes of the logits")
    return Game(keep.astype(np.bool_), labels.astype(np.int64))


def from_logits(logits: NDArray[Any], channel: str) -> NDArray[Any]:
    """Return one of the channels FROM_LOGITS, [model, sample, ...], of logits [model, sample, class]."""
    if channel == "logits":
        return logits.astype(np.float64, copy=False)
    return np.stack([observe_floats(one, [channel]).channels[channel] for one in logits])


def channel_of(logits: NDArray[Any], channel: str, attack: Attack) -> dict[str, NDArray[Any]]:
    """Return a channel of logits [model, sample, class], and the logarithms of probabilities for an attack on them."""
    channels = {channel: from_logits(logits, channel)}
    if channel == "probabilities" and attack.reads_log_probabilities:
        channels["log_probabilities"] = np.stack([log_softmax(one.astype(np.float64, copy=False)) for one in logits])
    return channels


def require_finite(name: str, values: NDArray[Any]) -> None:
    """Raise BadInput, naming the first place, unless all numbers [model, sample, ...] are finite."""
    for model, one in enumerate(values):
        if not np.isfinite(one).all():
            sample, *rest = (int(i) for i in np.argwhere(~np.isfinite(one))[0])
            where = f"model {model}, sample {sample}" + (f", place {', '.join(map(str, rest))}" if rest else "")
            raise BadInput(name, f"{one[(sample, *rest)]} at {where}", "finite numbers")


def _require_shape(name: str, values: NDArray[Any], wanted: tuple[int, ...]) -> None:
    if values.shape != wanted:
        axes = "[models, samples]" if len(wanted) == 2 else "[samples]"
        raise BadInput(name, f"shape {values.shape}", f"shape {wanted}, {axes} of the logits")


def _first_other_than_0_and_1(keep: NDArray[Any]) -> str:
    if keep.dtype.kind not in "biu":
        return f"{keep.dtype} numbers"
    model, sample = (int(i) for i in np.argwhere((keep != 0) & (keep != 1))[0])
    return f"{keep[model, sample]} at model {model}, sample {sample}"
