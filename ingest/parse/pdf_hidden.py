"""Which words of a PDF page leave no trace when it is drawn, though they are in its text.

In the colour of what is behind them, smaller than a point, transparent, or in the invisible mode.
Only text that may be so is looked at closer, by drawing its page; the text layer of a scan is
invisible too, but its words lie on a picture of themselves. Dark text under a dark shape or a
picture is not found: finding it would mean drawing every page.
"""

import ctypes
from collections.abc import Sequence

import pypdfium2.raw as pdfium
from PIL import Image
from pypdfium2 import PdfPage

from ingest.parse import pdf_raw

MIN_SIZE_PT = 1.0  # smaller type is not meant to be read
_LIGHT = 200  # of 255: darker text can be seen on paper without looking closer
_CLEAR = 32  # of 255: less opaque text can hardly be seen
_CONTRAST = 8  # of 255: what the eye and a printer tell apart
_MAX_SCALE = 1.0  # pixels a point
_MAX_PIXELS = 1_500_000
_LAYER_COVER = 0.5  # share of a page that the picture of a scan covers
_LAYER_SHARE = 0.5  # of invisible words lying on ink that make them a scan's text layer
_INVISIBLE_MODES = (pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP)
_FILLED_MODES = (pdfium.FPDF_TEXTRENDERMODE_FILL, pdfium.FPDF_TEXTRENDERMODE_FILL_CLIP)

Box = tuple[float, float, float, float]


class Sight:
    """Judges the text objects of a page. Reads each colour through the same few C variables."""

    def __init__(self) -> None:
        self._red, self._green, self._blue, self._alpha = (ctypes.c_uint() for _ in range(4))
        colours = (self._red, self._green, self._blue, self._alpha)
        self._colours = tuple(map(ctypes.addressof, colours))

    def doubt(self, thing: int, size: float) -> str:
        """Why a text object (its address) of this size may not be seen: "tiny", "mode", "faint".

        Empty where nothing speaks against it.
        """
        if size < MIN_SIZE_PT:
            return "tiny"
        mode = pdf_raw.render_mode_of(thing)
        if mode in _INVISIBLE_MODES:
            return "mode"
        if mode not in _FILLED_MODES or not pdf_raw.fill_colour_of(thing, *self._colours):
            return ""
        faint = min(self._red.value, self._green.value, self._blue.value) >= _LIGHT
        return "faint" if faint or self._alpha.value <= _CLEAR else ""


def unseen(
    page: PdfPage, doubts: Sequence[tuple[str, Box]], width: float, height: float
) -> list[bool]:
    """For each doubtful word, in points of the displayed page, whether nobody sees it."""
    if all(why == "mode" for why, _ in doubts) and _is_scan(page, width, height):
        return [False] * len(doubts)
    scale = min(_MAX_SCALE, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=False)
    try:
        drawing = bitmap.to_pil()
        blank = [why == "tiny" or _is_blank(drawing, box, scale) for why, box in doubts]
    finally:
        bitmap.close()
    layer = [is_blank for is_blank, (why, _) in zip(blank, doubts, strict=True) if why == "mode"]
    if layer and layer.count(False) > _LAYER_SHARE * len(layer):
        blank = [b and why != "mode" for b, (why, _) in zip(blank, doubts, strict=True)]
    return blank


def _is_scan(page: PdfPage, width: float, height: float) -> bool:
    """Whether a picture covers most of the page."""
    for thing in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = thing.get_bounds()
        if (right - left) * (top - bottom) > _LAYER_COVER * width * height:
            return True
    return False


def _is_blank(drawing: Image.Image, box: Box, scale: float) -> bool:
    x0, y0, x1, y1 = (edge * scale for edge in box)
    inset = min(2.0, (y1 - y0) / 8)  # of what stands in the lines above and below
    left, top = max(0, round(x0)), max(0, round(y0 + inset))
    right = min(drawing.width, max(left + 1, round(x1)))
    bottom = min(drawing.height, max(top + 1, round(y1 - inset)))
    if left >= right or top >= bottom:
        return True
    extrema = drawing.crop((left, top, right, bottom)).getextrema()
    darkest, lightest = float(extrema[0]), float(extrema[1])  # type: ignore[arg-type]
    return lightest - darkest < _CONTRAST
