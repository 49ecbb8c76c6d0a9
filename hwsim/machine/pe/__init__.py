"""Processing elements: one file each, all in the registry family `pe`."""

from hwsim.machine.pe.base import PE, Rate
from hwsim.machine.pe.bit_serial import BitSerial
from hwsim.machine.pe.drq import Drq
from hwsim.machine.pe.fixed import Fixed
from hwsim.machine.pe.fused import Fused

__all__ = ["PE", "BitSerial", "Drq", "Fixed", "Fused", "Rate"]
