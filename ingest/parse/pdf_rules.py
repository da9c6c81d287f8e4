"""The ruled lines of a page in, the grids that they form out.

A grid says where the cells of a table are; what is written in them is `pdf_tables`' business.
Lines inside form XObjects are not looked at.
"""

import ctypes
from ctypes import byref
from typing import NamedTuple

import pypdfium2.raw as pdfium
from pypdfium2 import PdfPage

from ingest.parse import pdf_raw
from ingest.parse.pdf_chars import PageTransform, Rect

_MAX_OBJECTS = 20_000
_MAX_SEGMENTS = 400  # of one path; a drawing has more, a table's rules fewer
_MAX_LINES = 2_000  # of one page
_THIN = 2.5  # points; a rectangle this narrow is a line
_SNAP = 3.0  # points within which lines touch, and edges are the same
_MIN_CELL = 6.0  # points


class Grid(NamedTuple):
    """Edges of rows and columns from the top left, and the lines that part the cells."""

    xs: list[float]
    ys: list[float]
    lines: list[Rect]

    def cell_of(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of a point; a cell over several is named by its top left one."""
        row = sum(edge <= y for edge in self.ys[1:-1])
        column = sum(edge <= x for edge in self.xs[1:-1])
        while column and not self._parted(
            self.xs[column], self._middle(self.ys, row), upright=True
        ):
            column -= 1
        while row and not self._parted(self._middle(self.xs, column), self.ys[row], upright=False):
            row -= 1
        return row, column

    def width_of(self, row: int, column: int) -> int:
        """How many columns the cell covers."""
        last, y = column + 1, self._middle(self.ys, row)
        while last < len(self.xs) - 1 and not self._parted(self.xs[last], y, upright=True):
            last += 1
        return last - column

    def _parted(self, x: float, y: float, *, upright: bool) -> bool:
        for x0, y0, x1, y1 in self.lines:
            if upright == (y1 - y0 > x1 - x0) and (
                x0 - _SNAP <= x <= x1 + _SNAP and y0 - _SNAP <= y <= y1 + _SNAP
            ):
                return True
        return False

    @staticmethod
    def _middle(edges: list[float], index: int) -> float:
        return (edges[index] + edges[index + 1]) / 2


def find_grids(page: PdfPage, place: PageTransform) -> list[Grid]:
    """Grids of two rows and two columns or more, in the frame of the displayed page."""
    lines = _page_lines(page, place)
    if not 6 <= len(lines) <= _MAX_LINES:
        return []
    grids = []
    for group in _connected(lines):
        upright = [g for g in group if g[3] - g[1] > g[2] - g[0]]
        level = [g for g in group if g[3] - g[1] <= g[2] - g[0]]
        xs = _edges([(g[0] + g[2]) / 2 for g in upright])
        ys = _edges([(g[1] + g[3]) / 2 for g in level])
        if len(xs) > 2 and len(ys) > 2:
            grids.append(Grid(xs, ys, group))
    return grids


def _page_lines(page: PdfPage, place: PageTransform) -> list[Rect]:
    """Level and upright lines on a page, as rectangles without much width."""
    lines: list[Rect] = []
    raw = page.raw
    edges = [ctypes.c_float() for _ in range(4)]
    left, bottom, right, top = edges
    at_edges = tuple(map(ctypes.addressof, edges))
    page_address, path = pdf_raw.address(raw), pdfium.FPDF_PAGEOBJ_PATH
    for index in range(min(pdfium.FPDFPage_CountObjects(raw), _MAX_OBJECTS)):
        if len(lines) > _MAX_LINES:
            break
        at = pdf_raw.thing_at(page_address, index)
        if pdf_raw.type_of(at) != path or not pdf_raw.bounds_of(at, *at_edges):
            continue
        thing = ctypes.cast(at, pdfium.FPDF_PAGEOBJECT)
        wide, high = right.value - left.value > _THIN, top.value - bottom.value > _THIN
        if not (wide or high) or (wide and high and not _is_stroked(thing)):
            continue  # a dot, or a background: reports shade every second row
        box = place.box((left.value, bottom.value, right.value, top.value))
        if box is None:
            continue
        n_segments = pdfium.FPDFPath_CountSegments(thing)
        if wide != high:
            lines.append(box)
        elif n_segments <= 6:
            lines += _outline(box)
        elif n_segments <= _MAX_SEGMENTS:
            lines += _strokes(thing, n_segments, place)
    return lines


def _is_stroked(thing: object) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(thing, byref(fill), byref(stroke))
    return bool(stroke.value)


def _outline(box: Rect) -> list[Rect]:
    x0, y0, x1, y1 = box
    if x1 - x0 < _MIN_CELL or y1 - y0 < _MIN_CELL:
        return []
    return [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)]


def _strokes(thing: object, n_segments: int, place: PageTransform) -> list[Rect]:
    """The level and upright strokes of a path with many; none where it has curves."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(thing, byref(matrix))
    x, y = ctypes.c_float(), ctypes.c_float()
    strokes: list[Rect] = []
    before = (0.0, 0.0)
    for index in range(n_segments):
        segment = pdfium.FPDFPath_GetPathSegment(thing, index)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_BEZIERTO:
            return []
        pdfium.FPDFPathSegment_GetPoint(segment, byref(x), byref(y))
        here = place.point(
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        if kind == pdfium.FPDF_SEGMENT_LINETO:
            wide, high = abs(here[0] - before[0]) > _THIN, abs(here[1] - before[1]) > _THIN
            if wide != high:
                strokes.append(
                    (
                        min(here[0], before[0]),
                        min(here[1], before[1]),
                        max(here[0], before[0]),
                        max(here[1], before[1]),
                    )
                )
        before = here
    return strokes


def _connected(lines: list[Rect]) -> list[list[Rect]]:
    """Groups of lines that touch."""
    lines = sorted(lines, key=lambda r: r[1])
    groups: list[list[Rect]] = []
    bounds: list[Rect] = []
    for line in lines:
        hit = [i for i, b in enumerate(bounds) if _touch(b, line)]
        members = [line]
        box = line
        for i in reversed(hit):
            members = groups.pop(i) + members
            b = bounds.pop(i)
            box = min(b[0], box[0]), min(b[1], box[1]), max(b[2], box[2]), max(b[3], box[3])
        groups.append(members)
        bounds.append(box)
    return groups


def _touch(a: Rect, b: Rect) -> bool:
    return (
        a[0] - _SNAP <= b[2]
        and b[0] - _SNAP <= a[2]
        and a[1] - _SNAP <= b[3]
        and b[1] - _SNAP <= a[3]
    )


def _edges(places: list[float]) -> list[float]:
    """Distinct edges, those within a few points taken for one."""
    edges: list[float] = []
    for place in sorted(places):
        if not edges or place - edges[-1] > _MIN_CELL:
            edges.append(place)
    return edges
