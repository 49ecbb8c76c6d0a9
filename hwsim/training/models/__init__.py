"""Models by name: ordinary torch modules with the recipe that trains them; one file per architecture."""

from hwsim.training.models import literature_mlps, mlp, resnet, small_cnn, small_resnet
from hwsim.training.models.base import Model

__all__ = ["Model", "literature_mlps", "mlp", "resnet", "small_cnn", "small_resnet"]
