"""The label-only attack by augmentation: a member stays right when it is moved a little."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, target_rows
from hwsim.registry import register


@register(
    "attack",
    "label_only_augmentation",
    citation="C. Choquette-Choo et al., Label-Only Membership Inference Attacks, ICML 2021",
)
class LabelOnlyAugmentation(Attack):
    """How many moved copies of the sample, itself included, keep the right label: 0 to the number of copies.

    Sees labels alone, so that no masking of confidences helps. Here the copies are counted;
    `label_only_augmentation_learned` weighs them.
    """

    name = "label_only_augmentation"

    @property
    def needs(self) -> tuple[str, ...]:
        """The labels of the moved copies."""
        return ("augmented_labels",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        seen = observed["augmented_labels"][target_rows(len(keep), targets)]
        return np.asarray((seen == labels[:, None]).sum(axis=2), dtype=np.float64)
