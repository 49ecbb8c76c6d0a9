"""The trained models of one membership game, float and quantized, and how to query them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.design import Design
from hwsim.engine.execute import execute
from hwsim.float_graph.graph import model_slice
from hwsim.network.graph import Network
from hwsim.study.evaluate.game_data import GameData
from hwsim.training.ensemble import Ensemble


@dataclass(frozen=True, eq=False)
class DeployedModels:
    """All models of a membership game.

    Attributes
    ----------
    design : one of the designs that share these models; they differ only in settings that change no output
    game_data : samples and memberships of the game
    ensemble : the float models
    networks : the integer network of each model; empty where the models are deployed in full precision
    """

    design: Design
    game_data: GameData
    ensemble: Ensemble
    networks: Sequence[Network] = ()

    @property
    def count(self) -> int:
        """Number of models."""
        return self.ensemble.models

    @cached_property
    def unquantized(self) -> DeployedModels:
        """The same models in full precision."""
        return DeployedModels(self.design, self.game_data, self.ensemble)

    @cached_property
    def codes(self) -> list[NDArray[np.integer]]:
        """Input codes of the audited samples for each network; networks of equal input format share one array."""
        first = self.networks[0]
        shared = first.encode(self.game_data.x)
        return [shared if _same_input_format(first, n) else n.encode(self.game_data.x) for n in self.networks]

    @cached_property
    def float_logits(self) -> NDArray[np.float64]:
        """Logits of the float models, float64 [model, sample, class]."""
        return self.ensemble.logits(self.game_data.x)

    def query(self, model: int, x: NDArray[np.float32]) -> NDArray[Any]:
        """Return the raw outputs [n, class] of one model, as it is deployed, for inputs float32 [n, *shape]."""
        if self.networks:
            network = self.networks[model]
            return execute(network, network.encode(x)).outputs
        weights = model_slice(self.ensemble.weights, model, model + 1)
        (logits,) = Ensemble(self.ensemble.graph, weights).logits(x)
        return np.asarray(logits)

    def logit_scale(self, model: int) -> float:
        """Return the factor from raw outputs of a model to real logits."""
        return self.networks[model].logit_scale if self.networks else 1.0

    @cached_property
    def full_scales(self) -> list[float]:
        """Largest raw output of each model on the calibration samples: the full scale of a narrow output port."""
        calibration = self.game_data.calibration
        return [float(np.abs(self.query(m, calibration).astype(np.float64)).max()) for m in range(self.count)]


def _same_input_format(one: Network, other: Network) -> bool:
    return (one.input, one.input_scale) == (other.input, other.input_scale)
