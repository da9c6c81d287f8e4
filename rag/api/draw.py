"""A page of a stored file as a PNG, with rectangles highlighted. Runs as a process of its own.

Drawing hands a file that anyone may have written to decoders written in C, so it happens where a
crash, a hang or an explosion costs nothing but this process, which has no network: see
`rag.api.renderer`, which starts it, speaks to it over a socket and ends it when it takes too long.
"""

import contextlib
import io
import math
import resource
import sys
import warnings
from multiprocessing.connection import Connection

import msgspec
import pypdfium2
from PIL import Image, ImageChops

from rag.sandbox import without_network

MEMORY_BYTES = 2 * 1024**3
MAX_PIXELS = 8_000_000
YELLOW = (255, 232, 92)  # multiplied with the page, as a text marker does: black stays black
PADDING = 0.12  # of a line's height, so that the marker covers ascenders and descenders


class Drawing(msgspec.Struct, frozen=True, array_like=True):
    """What is to be drawn. Boxes are in units of which `page_width` are the page's width."""

    path: str
    is_pdf: bool
    number: int  # of the page, from 1
    page_width: float
    width: int  # of the result, in pixels
    boxes: list[tuple[float, float, float, float]]


class Drawn(msgspec.Struct, frozen=True, array_like=True):
    """The result: a PNG, or why there is none."""

    png: bytes = b""
    error: str = ""


def draw(drawing: Drawing) -> bytes:
    """Draw one page; raises whatever the decoders raise."""
    image = _pdf_page(drawing) if drawing.is_pdf else _picture(drawing)
    if drawing.page_width > 0:
        _highlight(image, drawing.boxes, image.width / drawing.page_width)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()


def _pdf_page(drawing: Drawing) -> Image.Image:
    document = pypdfium2.PdfDocument(drawing.path)
    try:
        document.init_forms()  # else what was typed into a form is not drawn
        page = document[drawing.number - 1]
        scale = _scale(page.get_width(), page.get_height(), drawing.width)
        image: Image.Image = page.render(scale=scale).to_pil()
        return image.convert("RGB")
    finally:
        document.close()


def _picture(drawing: Drawing) -> Image.Image:
    with Image.open(drawing.path) as image:
        image.seek(drawing.number - 1)
        scale = min(1.0, _scale(image.width, image.height, drawing.width))
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _scale(width: float, height: float, wanted: int) -> float:
    """The scale for the wanted width, less where the picture would become too large."""
    most = math.sqrt(MAX_PIXELS / max(width * height, 1e-6))
    return min(wanted / max(width, 1e-6), most)


def _highlight(
    image: Image.Image, boxes: list[tuple[float, float, float, float]], scale: float
) -> None:
    for x0, y0, x1, y1 in boxes:
        pad = (y1 - y0) * PADDING
        area = (
            max(0, round((x0 - pad) * scale)),
            max(0, round((y0 - pad) * scale)),
            min(image.width, round((x1 + pad) * scale)),
            min(image.height, round((y1 + pad) * scale)),
        )
        if area[0] < area[2] and area[1] < area[3]:
            part = image.crop(area)
            image.paste(ImageChops.multiply(part, Image.new("RGB", part.size, YELLOW)), area)


def main(descriptor: int) -> None:
    """Draw what the other end of the socket asks for until it is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    without_network()  # where the kernel can't, `citadel doctor` says so
    warnings.simplefilter("ignore")
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            drawing = msgspec.msgpack.decode(connection.recv_bytes(), type=Drawing)
            try:
                drawn = Drawn(png=draw(drawing))
            except Exception as error:  # noqa: BLE001  a worker's border: the decoders raise anything
                drawn = Drawn(error=str(error) or type(error).__name__)
            connection.send_bytes(msgspec.msgpack.encode(drawn))


if __name__ == "__main__":
    main(int(sys.argv[1]))
