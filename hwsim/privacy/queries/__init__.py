"""What a label-only adversary asks a deployed model: moved copies of a sample, and walks along its boundary."""

from hwsim.privacy.queries.boundary import boundary_distance
from hwsim.privacy.queries.moves import bit_flips, gaussian_noise, rotations, translations

__all__ = ["bit_flips", "boundary_distance", "gaussian_noise", "rotations", "translations"]
