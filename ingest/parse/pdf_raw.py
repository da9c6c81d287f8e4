"""The few PDFium functions that are called for every character, word or line of a page.

The same functions as `pypdfium2.raw` has, but they take and return addresses as numbers, which
spares ctypes an object for every pointer: a call takes half the time, one that returns a pointer a
fifth. They keep Python's lock, as PDFium is used by one thread of a process only.
"""

import ctypes
import re
from collections.abc import Callable
from typing import Any

import pypdfium2.raw as pdfium

_ADDRESS, _INT = ctypes.c_void_p, ctypes.c_int
_STAND_IN = re.compile("\ufffe")  # for PDFium's sign for a hyphen and other controls


def address(pointer: Any) -> int:
    """A pointer of `pypdfium2` as a number, 0 for null."""
    return ctypes.cast(pointer, _ADDRESS).value or 0


def _by_address(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    return ctypes.PYFUNCTYPE(result, *arguments)(address(function))


# Of a text page and a character's index.
unicode_at = _by_address(pdfium.FPDFText_GetUnicode, ctypes.c_uint, _ADDRESS, _INT)
object_at = _by_address(pdfium.FPDFText_GetTextObject, _ADDRESS, _ADDRESS, _INT)
font_size_at = _by_address(pdfium.FPDFText_GetFontSize, ctypes.c_double, _ADDRESS, _INT)
matrix_at = _by_address(pdfium.FPDFText_GetMatrix, _INT, _ADDRESS, _INT, _ADDRESS)
loose_box_at = _by_address(pdfium.FPDFText_GetLooseCharBox, _INT, _ADDRESS, _INT, _ADDRESS)
# Of a text object.
font_of = _by_address(pdfium.FPDFTextObj_GetFont, _ADDRESS, _ADDRESS)
render_mode_of = _by_address(pdfium.FPDFTextObj_GetTextRenderMode, _INT, _ADDRESS)
fill_colour_of = _by_address(pdfium.FPDFPageObj_GetFillColor, _INT, *[_ADDRESS] * 5)
# Of a page, and of a thing on it.
thing_at = _by_address(pdfium.FPDFPage_GetObject, _ADDRESS, _ADDRESS, _INT)
type_of = _by_address(pdfium.FPDFPageObj_GetType, _INT, _ADDRESS)
bounds_of = _by_address(pdfium.FPDFPageObj_GetBounds, _INT, *[_ADDRESS] * 5)


def text_of(text_page: int, n_chars: int) -> str:
    """The first characters of a text page, one for each index."""
    units = (ctypes.c_ushort * (n_chars + 1))()
    n_units = pdfium.FPDFText_GetText(_text_page(text_page), 0, n_chars, units)
    if n_units == n_chars + 1:
        text = bytes(units)[: 2 * n_chars].decode("utf-16-le", "surrogatepass")
        if len(text) == n_chars:  # none is left out, and none is two units
            return _STAND_IN.sub(lambda m: chr(unicode_at(text_page, m.start())), text)
    codes = [unicode_at(text_page, index) for index in range(n_chars)]
    return "".join([chr(code) if code < 0x110000 else "\ufffd" for code in codes])


def _text_page(text_page: int) -> Any:
    return ctypes.cast(text_page, pdfium.FPDF_TEXTPAGE)
