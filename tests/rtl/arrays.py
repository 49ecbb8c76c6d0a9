"""The arrays that are built: both PEs, one and two weight registers, square and not, in lock-step and elastic."""

from __future__ import annotations

from tests.rtl.build import DRQ, FUSED, Array

FUSED_2X2, FUSED_4X4, FUSED_3X5 = Array(FUSED, 2, 2), Array(FUSED, 4, 4), Array(FUSED, 3, 5, double=1)
DRQ_3X5, DRQ_4X4, DRQ_5X3, DRQ_1X1 = Array(DRQ, 3, 5), Array(DRQ, 4, 4), Array(DRQ, 5, 3, double=1), Array(DRQ, 1, 1, 1)
DRQ_2X2 = Array(DRQ, 2, 2, double=1)
ELASTIC_4X4, ELASTIC_5X3 = Array(DRQ, 4, 4, places=1), Array(DRQ, 5, 3, double=1, places=3)

FUSED_ARRAYS = (FUSED_2X2, FUSED_4X4, FUSED_3X5)
DRQ_ARRAYS = (DRQ_2X2, DRQ_3X5, DRQ_4X4, DRQ_5X3, DRQ_1X1, ELASTIC_4X4, ELASTIC_5X3)
ARRAYS = (*FUSED_ARRAYS, *DRQ_ARRAYS)
