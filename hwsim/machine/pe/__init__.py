"""Processing elements: one file each, all in the registry family `pe`."""

from hwsim.machine.pe.base import PE, Rate
from hwsim.machine.pe.bit_serial import BitSerial
from hwsim.machine.pe.drq import Drq
from hwsim.machine.pe.fixed import Fixed
from hwsim.machine.pe.fused import Fused
from hwsim.machine.pe.lookup import Lookup
from hwsim.machine.pe.outlier import Outlier
from hwsim.machine.pe.unpu import Unpu
from hwsim.machine.pe.xnor import Xnor

__all__ = ["PE", "BitSerial", "Drq", "Fixed", "Fused", "Lookup", "Outlier", "Rate", "Unpu", "Xnor"]
