"""All sections of the page, in its order."""

from __future__ import annotations

from tests.validation import bitfusion, drq, eyeriss, rtl, scalesim, speeds, stonne

SECTIONS = (
    scalesim.SECTION,
    stonne.SECTION,
    rtl.SECTION,
    eyeriss.SECTION,
    bitfusion.SECTION,
    drq.SECTION,
    *speeds.SECTIONS,
)
