"""Documents, their texts, pages and originals over HTTP."""

import io

import httpx
import pytest
from api_live import Live
from api_samples import FAILED, HOSTILE, LEAVE, NOTES, leave_pdf
from PIL import Image

from rag.api.bodies import models
from rag.api.routes.documents import file_name
from rag.types import Page

SHEER_WHITE = (255, 255, 255)


def pages_of(client: httpx.Client, **params: object) -> list[models.DocumentList]:
    """All pages of the list."""
    found, cursor = [], "0"
    while cursor:
        response = client.get("/v1/documents", params={"cursor": cursor, **params})
        found.append(models.DocumentList.model_validate(response.json()))
        cursor = found[-1].next_cursor or ""
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
def test_every_document_is_listed_once(live: Live, client: httpx.Client, limit: int) -> None:
    pages = pages_of(client, limit=limit)
    listed = [document.id for page in pages for document in page.documents]
    assert listed == sorted(live.ids.values())
    assert {page.total for page in pages} == {len(listed)}
    assert len(pages) == -(-len(listed) // limit)


def test_the_list_can_be_narrowed_by_title_and_collection(live: Live, client: httpx.Client) -> None:
    [page] = pages_of(client, title=" HANDbook ")
    assert [document.id for document in page.documents] == [live.ids["pdf"]]
    [page] = pages_of(client, collection="finance")
    assert {document.collection for document in page.documents} == {"finance"}
    assert page.total == 3


@pytest.mark.parametrize("params", ["limit=0", "limit=201", "cursor=x", "cursor=-1", "title=%00"])
def test_a_list_that_cannot_be_is_refused(client: httpx.Client, params: str) -> None:
    assert client.get(f"/v1/documents?{params}").status_code == 422


def test_a_document_names_its_attachments(live: Live, client: httpx.Client) -> None:
    response = client.get(f"/v1/documents/{live.ids['mail']}")
    mail = models.DocumentDetail.model_validate(response.json())
    assert [attached.id for attached in mail.attachments] == [live.ids["attached"]]
    attached = client.get(f"/v1/documents/{live.ids['attached']}").json()
    assert attached["parent_id"] == mail.id
    assert attached["name"] == "prices.csv"


def test_a_text_is_read_whole_or_in_part(live: Live, client: httpx.Client) -> None:
    path = f"/v1/documents/{live.ids['text']}/text"
    whole = models.Text.model_validate(client.get(path).json())
    assert (whole.text, whole.start, whole.end) == (NOTES, 0, len(NOTES))
    part = client.get(f"{path}?start=7&end=12").json()
    assert part["text"] == NOTES[7:12]
    assert client.get(f"{path}?start=7&end=99999").json()["end"] == len(NOTES)
    end = len(NOTES)
    assert client.get(f"{path}?start={end}").json()["text"] == ""


@pytest.mark.parametrize("span", ["start=9&end=8", "start=99999&end=99999"])
@pytest.mark.parametrize("kind", ["text", "passage"])
def test_a_span_that_is_not_there_is_refused(
    live: Live, client: httpx.Client, kind: str, span: str
) -> None:
    response = client.get(f"/v1/documents/{live.ids['text']}/{kind}?{span}")
    assert response.status_code == 400
    assert "n_chars" in response.json()["hint"]


@pytest.mark.parametrize(("start", "end", "context"), [(14, 40, 10), (0, 3, 5), (60, 99, 600)])
def test_a_passage_comes_with_what_stands_around_it(
    live: Live, client: httpx.Client, start: int, end: int, context: int
) -> None:
    params = {"start": start, "end": end, "context": context}
    response = client.get(f"/v1/documents/{live.ids['text']}/passage", params=params)
    found = models.Passage.model_validate(response.json())
    assert found.text == NOTES[start:end]
    assert found.before == NOTES[max(0, start - context) : start]
    assert found.after == NOTES[end : end + context]
    assert found.before_start + len(found.before) == start
    assert found.after_end - len(found.after) == end
    assert found.page is None


def test_a_passage_of_a_pdf_knows_its_page(live: Live, client: httpx.Client) -> None:
    text = leave_pdf()[1]
    start = text.index("Parents")
    path = f"/v1/documents/{live.ids['pdf']}/passage?start={start}&end={start + 7}"
    assert client.get(path).json()["page"] == 2


def test_pages_have_sizes_and_spans(live: Live, client: httpx.Client) -> None:
    response = client.get(f"/v1/documents/{live.ids['pdf']}/pages")
    found = models.PageList.model_validate(response.json())
    assert found.has_images
    assert [(page.number, page.width) for page in found.pages] == [(1, 400.0), (2, 400.0)]
    text = client.get(f"/v1/documents/{live.ids['text']}/pages").json()
    assert text == {"document_id": live.ids["text"], "has_images": False, "pages": []}


def picture(response: httpx.Response) -> Image.Image:
    """The image in a response."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(response.content)).convert("RGB")


def marked(image: Image.Image) -> tuple[int, int, int, int] | None:
    """The rectangle that holds everything yellow."""
    red, _, blue = image.split()
    yellow = Image.eval(blue, lambda v: 255 if v < 150 else 0)
    light = Image.eval(red, lambda v: 255 if v > 200 else 0)
    return Image.composite(yellow, Image.new("L", image.size), light).getbbox()


def expected(page: Page, start: int, end: int, scale: float) -> list[float]:
    """The rectangle of the words of a span, in pixels."""
    words = page.word_array()
    words = words[(words[:, 0] < end) & (words[:, 1] > start)]
    edges = [*words[:, 2:4].min(axis=0), *words[:, 4:6].max(axis=0)]
    return [float(edge) * scale for edge in edges]


@pytest.mark.parametrize("width", [400, 1000])
def test_a_cited_span_is_marked_on_its_page(live: Live, client: httpx.Client, width: int) -> None:
    _, text, pages = leave_pdf()
    start = text.index(LEAVE)
    span = f"start={start}&end={start + len(LEAVE)}"
    path = f"/v1/documents/{live.ids['pdf']}/pages/1.png?{span}&width={width}"
    image = picture(client.get(path))
    assert image.width == width
    box = marked(image)
    assert box is not None
    assert box == pytest.approx(expected(pages[0], start, start + len(LEAVE), width / 400), abs=6)


def test_a_page_without_a_span_has_no_mark(live: Live, client: httpx.Client) -> None:
    for name in ("pdf", "scan"):
        image = picture(client.get(f"/v1/documents/{live.ids[name]}/pages/1.png"))
        assert marked(image) is None
        assert image.getpixel((0, 0)) == SHEER_WHITE


def test_a_span_of_another_page_marks_nothing(live: Live, client: httpx.Client) -> None:
    path = f"/v1/documents/{live.ids['pdf']}/pages/2.png?start=0&end=20"
    assert marked(picture(client.get(path))) is None


def test_a_scan_is_shown_as_it_is_and_marked(live: Live, client: httpx.Client) -> None:
    path = f"/v1/documents/{live.ids['scan']}/pages/1.png?start=0&end=16&width=400"
    image = picture(client.get(path))
    assert image.size == (400, 300)
    box = marked(image)
    assert box is not None
    assert (box[0], box[1]) == pytest.approx((20, 40), abs=4)


def test_a_page_that_has_not_changed_is_not_sent_again(live: Live, client: httpx.Client) -> None:
    path = f"/v1/documents/{live.ids['pdf']}/pages/1.png?width=100"
    first = client.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(f"{path}&start=0&end=9")
    assert other.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("name", "page", "status"),
    [("pdf", 3, 404), ("text", 1, 404), ("html", 1, 404), ("damaged", 1, 500), ("pdf", 0, 422)],
)
def test_a_page_that_cannot_be_drawn_is_a_problem(
    live: Live, client: httpx.Client, name: str, page: int, status: int
) -> None:
    response = client.get(f"/v1/documents/{live.ids[name]}/pages/{page}.png")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["hint"]


@pytest.mark.parametrize("params", ["width=99", "width=2001", "start=-1"])
def test_an_image_that_would_be_too_large_or_odd_is_refused(
    live: Live, client: httpx.Client, params: str
) -> None:
    response = client.get(f"/v1/documents/{live.ids['pdf']}/pages/1.png?{params}")
    assert response.status_code == 422


def test_an_original_is_saved_and_never_run(live: Live, client: httpx.Client) -> None:
    response = client.get(f"/v1/documents/{live.ids['html']}/original")
    assert response.text == HOSTILE
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["content-security-policy"].startswith("sandbox")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("/srv/documents/plan.pdf", "plan.pdf"),
        ("/srv/mail.eml!/../../etc/passwd", "passwd"),
        (r"C:\Users\x\plan.pdf", "plan.pdf"),
        ('/a/b "c"\r\nSet-Cookie: x', "b _c___Set-Cookie_ x"),
        ("/a/\u202efdp.exe", "_fdp.exe"),
        ("/a/..", "document"),
        ("/a/Größe.pdf", "Größe.pdf"),
        ("", "document"),
    ],
)
def test_names_are_safe_to_save_under(uri: str, name: str) -> None:
    assert file_name(uri) == name


def test_failures_are_listed_with_what_to_do(client: httpx.Client) -> None:
    found = models.FailureList.model_validate(client.get("/v1/failures").json())
    assert [(f.collection, f.path, f.error) for f in found.failures] == [
        ("hr", FAILED, "the PDF is encrypted")
    ]
    assert found.failures[0].hint
    assert client.get("/v1/failures?collection=finance").json() == {"failures": []}


def test_collections_and_status_count_what_is_there(live: Live, client: httpx.Client) -> None:
    response = client.get("/v1/collections")
    listed = models.CollectionList.model_validate(response.json()).collections
    assert [(c.name, c.n_documents) for c in listed] == [("finance", 3), ("hr", 4)]
    status = models.Status.model_validate(client.get("/v1/status").json())
    assert (status.n_documents, status.n_collections, status.n_failures) == (7, 2, 1)
    assert status.indexed == status.head > 0
