"""The input file of `hwsim audit`: logits, membership and labels in an .npz, validated before use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.files.archive import NPY, open_archive
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.audit.from_logits import FROM_LOGITS, channel_of, game_of, require_finite
from hwsim.privacy.audit.logit_scale import notes_on, scaled
from hwsim.privacy.game import Game
from hwsim.registry import family

REQUIRED = ("logits", "keep", "labels")
SUM_TOLERANCE = 0.05
"""Largest distance of a sum of probabilities from one; eight-bit probabilities are rounded in every class."""

_AXES: Mapping[str, int] = {
    "label": 2,
    "latency_cycles": 2,
    "energy_pj": 2,
    "sensitive_regions": 2,
    "boundary_distance": 2,
    "top_k": 4,
}
"""Number of axes of a channel, [models, samples, ...], where it is not three."""

_BY_CLASS = ("probabilities", "float_logits", "adversarial_logits", "verified_logits")
"""Channels whose last axis is the class."""


@dataclass(frozen=True, eq=False)
class AuditFile:
    """Contents of an input file.

    Attributes
    ----------
    path : name of the file
    game : membership and labels
    channels : channel name -> array [model, sample, ...]
    unused : names of the arrays that were not read, with the nearest known name
    notes : what was assumed about the logits
    """

    path: str
    game: Game
    channels: Mapping[str, NDArray[Any]]
    unused: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def observed(self, attacks: Sequence[Attack]) -> dict[str, NDArray[Any]]:
        """Return the channels that the attacks need, computed from logits where the file lacks them, and any inputs.

        Raises BadInput that names the array to add when a channel is neither in the file nor contained in logits.
        """
        for attack in attacks:
            for channel in attack.needs:
                if channel not in self.channels and channel not in FROM_LOGITS:
                    given = f"no array {channel}, which the attack {attack.label} needs"
                    raise BadInput(self.path, given, f"add an array {channel} {_expected_shape(channel)}")
        observed: dict[str, NDArray[Any]] = {}
        for attack in attacks:
            for name in attack.needs:
                if name in self.channels:
                    observed[name] = self.channels[name]
                elif name not in observed or (attack.reads_log_probabilities and "log_probabilities" not in observed):
                    observed |= channel_of(self.channels["logits"], name, attack)
        return observed | {name: self.channels[name] for name in ("inputs",) if name in self.channels}


def read(path: str | Path, logit_scale: float | None = None) -> AuditFile:
    """Read the arrays of an .npz and check them against each other; `hwsim audit --help` describes the file.

    `logits` [models, samples, classes], `keep` [models, samples] and `labels` [samples] are required. An array with the
    name of a channel is that channel, [models, samples, ...]. `inputs` [samples, ...] are the same for all models.
    `logit_scale` is the real value of one unit of the logits, and of adversarial logits that are integers: one number,
    or one per model [models], or per model and class [models, classes]. The argument replaces the array.
    Raises HwsimError with the file, the place, the given and the allowed values. Nothing in a file is executed. The
    arrays may need as much memory, as float64 and int64, as `hwsim.files.memory.limit()` allows.
    """
    path = Path(path)
    known = {*REQUIRED, "logit_scale", *family("channel")}
    arrays, unread = _read_arrays(path, known)
    for name in REQUIRED:
        if name not in arrays:
            near = get_close_matches(name, unread, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else ""
            given = f"arrays {', '.join(sorted([*arrays, *unread])) or 'none'}"
            raise BadInput(f"{path} {name}", given, f"an array {name} {_expected_shape(name)}", hint)
    try:
        game = game_of(arrays["logits"], arrays["keep"], arrays["labels"])
        if game.labels.min() == game.labels.max():
            raise BadInput("labels", f"one class only, {game.labels[0]}", "two classes or more")
        shape = arrays["logits"].shape
        scale = arrays.pop("logit_scale", None) if logit_scale is None else logit_scale
        notes = notes_on(arrays["logits"], scale is not None)
        channels = {
            name: _channel(name, values, shape)
            for name, values in arrays.items()
            if name not in ("keep", "labels", "logit_scale")
        }
        for name in ("logits", "adversarial_logits"):
            if name == "logits" or (name in arrays and arrays[name].dtype.kind in "iu"):
                channels[name] = scaled(channels[name], scale)
    except BadInput as error:
        raise in_file(path, error) from None
    return AuditFile(str(path), game, channels, tuple(_unused(name, known) for name in unread), notes)


def in_file(path: str | Path, error: BadInput) -> BadInput:
    """Return the same error with the file named before the place."""
    return BadInput(f"{path} {error.where.removeprefix('game.')}", error.given, error.allowed, error.hint)


def _channel(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a channel's array [model, sample, ...] after checks of type, shape and values; raises BadInput."""
    models, samples, classes = shape
    if values.dtype.kind not in "biuf":
        raise BadInput(name, f"{values.dtype} values", "numbers")
    if name == "inputs":
        return _inputs(values, models, samples)
    fits = values.ndim == _AXES.get(name, 3) and values.shape[:2] == (models, samples)
    if not fits or (name in _BY_CLASS and values.shape[2] != classes):
        allowed = f"{_expected_shape(name)} with {models} models, {samples} samples and {classes} classes, as in logits"
        raise BadInput(name, f"shape {values.shape}", allowed)
    require_finite(name, values)
    if name == "probabilities":
        _check_probabilities(values)
    real = values.dtype.kind == "f" or name in _BY_CLASS or name == "logits"
    return values.astype(np.float64, copy=False) if real else values.astype(np.int64, copy=False)


def _inputs(values: NDArray[Any], models: int, samples: int) -> NDArray[np.float64]:
    """Return the inputs of all models, [model, sample, feature], as a view of [sample, feature]."""
    if values.ndim < 2 or len(values) != samples:
        raise BadInput("inputs", f"shape {values.shape}", f"[samples, ...] with {samples} samples, as in logits")
    require_finite("inputs", values[None])
    flat = values.reshape(samples, -1).astype(np.float64)
    return np.broadcast_to(flat, (models, *flat.shape))


def _check_probabilities(values: NDArray[Any]) -> None:
    for model, one in enumerate(values):
        total = one.sum(axis=1, dtype=np.float64)
        wrong = np.flatnonzero((np.abs(total - 1) > SUM_TOLERANCE) | (one.min(axis=1) < 0))
        if wrong.size:
            sample = int(wrong[0])
            problem = "a negative one" if one[sample].min() < 0 else f"a sum of {total[sample]:.6g}"
            given = f"{problem} at model {model}, sample {sample}"
            raise BadInput("probabilities", given, f"probabilities that sum to one, within {SUM_TOLERANCE}")


def _expected_shape(name: str) -> str:
    shapes = {"logits": "[models, samples, classes]", "labels": "[samples]", "inputs": "[samples, ...]"}
    if name in _BY_CLASS:
        return shapes["logits"]
    return shapes.get(name, "[models, samples]" if _AXES.get(name, 2) == 2 else "[models, samples, ...]")


def _unused(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"{name} (did you mean {near[0]}?)" if near else name


def _read_arrays(path: Path, wanted: set[str]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the wanted arrays of an .npz, and the names of the other arrays, which are not unpacked."""
    with open_archive(path) as archive:
        found = {name.removesuffix(NPY): name for name in archive.names}
        chosen = [name for name, entry in found.items() if name in wanted and entry.endswith(NPY)]
        return archive.arrays(chosen), sorted(set(found) - set(chosen))
