"""An attack whose shadow models are deployed in another way than its target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from hwsim.privacy.attack_tools.attack import Attack, Observed


class MismatchedShadows(Attack):
    """`attack` on a target that is seen as it is, among shadows that are seen as in `shadows`.

    `shadows` has the channels of all models in the other deployment, [model, sample, ...]; the target's
    row of it is replaced by what was observed. `word` is appended to the attack's label, so that the
    result cannot be taken for the one with matched shadows: a mere change of the logit scale looks
    like privacy here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: ClassVar[str] = "unmatched"

    attack: Attack
    shadows: Any
    word: str

    @property
    def needs(self) -> tuple[str, ...]:
        """The channels of the attack."""
        return self.attack.needs

    @property
    def label(self) -> str:
        """The attack's label and the word."""
        return f"{self.attack.label}_{self.word}"

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        chosen = range(len(keep)) if targets is None else targets
        rows = [self.attack.scores(self._among(observed, target), keep, labels, [target]) for target in chosen]
        return np.concatenate(rows)

    def _among(self, observed: Observed, target: int) -> Observed:
        """The shadows with the target in its place."""
        mixed = {}
        for name in self.needs:
            mixed[name] = np.array(self.shadows[name])
            mixed[name][target] = observed[name][target]
        return mixed
