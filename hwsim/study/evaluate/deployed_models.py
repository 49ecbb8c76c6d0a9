"""The models of one game as they stand: trained, quantized, and open to questions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.design import Design
from hwsim.engine.execute import execute
from hwsim.float_graph.graph import model_slice
from hwsim.network.graph import Network
from hwsim.privacy.observation.channels.multi_query import MultiQueryChannel
from hwsim.study.evaluate.game_data import GameData
from hwsim.training.ensemble import Ensemble


@dataclass(frozen=True, eq=False)
class DeployedModels:
    """All models of a game: the float ensemble, and the integer network of each where they were quantized.

    `design` is one of those that share these models: they differ in what does not change an output.
    """

    design: Design
    arena: GameData
    ensemble: Ensemble
    networks: Sequence[Network] = ()
    _supplied: dict[str, Sequence[NDArray[Any]]] = field(default_factory=dict, init=False, repr=False)

    @property
    def models(self) -> int:
        """Number of models."""
        return self.ensemble.models

    @cached_property
    def codes(self) -> list[NDArray[np.integer]]:
        """The audited inputs as every network takes them; networks that take them alike share one array."""
        first = self.networks[0].encode(self.arena.x)
        return [first if _takes_alike(self.networks[0], n) else n.encode(self.arena.x) for n in self.networks]

    @cached_property
    def float_logits(self) -> NDArray[np.float64]:
        """Logits of the full-precision models, float64 [model, sample, class]."""
        return self.ensemble.logits(self.arena.x)

    def ask(self, model: int, x: NDArray[np.float32]) -> NDArray[Any]:
        """Raw outputs [n, class] of one model, as it is deployed, for inputs float32 [n, *shape]."""
        if self.networks:
            network = self.networks[model]
            return execute(network, network.encode(x)).outputs
        weights = model_slice(self.ensemble.weights, model, model + 1)
        (logits,) = Ensemble(self.ensemble.graph, weights).logits(x)
        return np.asarray(logits)

    def scale(self, model: int) -> float:
        """What one unit of the raw outputs of a model is worth."""
        return self.networks[model].logit_scale if self.networks else 1.0

    @cached_property
    def full_scales(self) -> list[float]:
        """The largest raw output of each model on the calibration samples: what a narrow output port is set to."""
        return [float(np.abs(self.ask(m, self.arena.calibration).astype(np.float64)).max()) for m in range(self.models)]

    def supply(
        self, channel: MultiQueryChannel, make: Callable[[DeployedModels, Any], Sequence[NDArray[Any]]]
    ) -> Sequence[NDArray[Any]]:
        """The arrays of a supplied channel, one per model [sample, ...], made once for all designs of these models."""
        key = json.dumps([channel.name, channel.model_dump(mode="json")])
        if key not in self._supplied:
            self._supplied[key] = make(self, channel)
        return self._supplied[key]


def _takes_alike(one: Network, other: Network) -> bool:
    return (one.input, one.input_scale) == (other.input, other.input_scale)


Supplies = Mapping[str, Callable[[DeployedModels, Any], Sequence[NDArray[Any]]]]
"""How each supplied channel is made."""
