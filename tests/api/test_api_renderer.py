"""Pages are drawn by a process that may be lost."""

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_samples import WIDTH, leave_pdf
from PIL import Image

from rag.api.draw import MAX_PIXELS, Drawing, draw
from rag.api.renderer import Renderer
from rag.errors import RenderError

PNG = b"\x89PNG"


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    """A renderer, ended afterwards."""
    renderer = Renderer(timeout_s=20)
    yield renderer
    renderer.close()


@pytest.fixture
def page(tmp_path: Path) -> Drawing:
    """A page that can be drawn."""
    file = tmp_path / "leave.pdf"
    file.write_bytes(leave_pdf()[0])
    return Drawing(str(file), True, 1, WIDTH, 200, [])


def test_a_damaged_file_does_not_stop_the_next(
    renderer: Renderer, page: Drawing, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.pdf"
    damaged.write_bytes(page.path.encode())
    with pytest.raises(RenderError, match="cannot be drawn"):
        renderer.png(Drawing(str(damaged), True, 1, WIDTH, 200, []))
    assert renderer.png(page).startswith(PNG)


def test_a_process_that_was_killed_is_replaced(renderer: Renderer, page: Drawing) -> None:
    assert renderer.png(page).startswith(PNG)
    process = renderer._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert renderer.png(page).startswith(PNG)


def test_a_page_that_takes_too_long_is_given_up(
    renderer: Renderer, page: Drawing, tmp_path: Path
) -> None:
    assert renderer.png(page).startswith(PNG)
    pipe = tmp_path / "never-ending.png"
    os.mkfifo(pipe)  # opening it waits for ever
    renderer._timeout_s = 0.2
    with pytest.raises(RenderError, match="longer than"):
        renderer.png(Drawing(str(pipe), False, 1, WIDTH, 200, []))
    renderer._timeout_s = 20
    assert renderer.png(page).startswith(PNG)


def test_the_process_ends_with_its_renderer(renderer: Renderer, page: Drawing) -> None:
    renderer.png(page)
    process = renderer._process
    assert process is not None
    renderer.close()
    assert process.returncode is not None


def test_what_has_taken_the_process_over_has_no_network(renderer: Renderer, page: Drawing) -> None:
    renderer.png(page)
    process = renderer._process
    assert process is not None
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status, "a filter is in force"


def test_a_long_page_is_drawn_smaller(tmp_path: Path) -> None:
    file = tmp_path / "long.png"
    Image.new("L", (500, 40_000)).save(file)
    png = draw(Drawing(str(file), False, 1, 500, 2000, []))
    image = Image.open(io.BytesIO(png))
    assert image.width * image.height <= MAX_PIXELS * 1.01
