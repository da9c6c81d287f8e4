"""Files brought in over HTTP, and documents taken out again."""

import fcntl
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

import pytest
from api_house import House, open_house
from api_live import wait_for
from api_samples import NOTES

from rag.api.bodies import feeding_models
from rag.api.runner import LOCK_FILE

MAX_FILE_BYTES = 2 * 1024**2
WAITING = 2
UP = "/v1/documents?collection=hr"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("uploads")
    shares = {"max_file_bytes": MAX_FILE_BYTES, "caller_uploads_waiting": WAITING}
    with open_house(folder, models, **shares) as house:
        yield house


def uploaded(house: House, content: bytes, name: str) -> dict[str, object]:
    """The run that has read an upload of max's."""
    response = house.asked("max", "POST", f"{UP}&name={quote(name)}", content=content)
    assert response.status_code == 202, response.text
    found = feeding_models.Uploaded.model_validate(response.json())
    assert found.run is not None and found.document is None
    assert found.run.state in ("waiting", "running")
    ended = house.ended("max", found.run.id)
    assert ended["state"] == "done", (ended["message"], ended["hint"])
    return ended


def found(house: House, name: str, query: str) -> list[int]:
    """The documents that a user's search finds."""
    response = house.asked(name, "POST", "/v1/search", json={"query": query, "collection": "hr"})
    return [hit["document_id"] for hit in response.json()["hits"]]


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_an_upload_is_found_by_who_may_read_it_and_gone_when_it_is_deleted(house: House) -> None:
    originals = house.store.data_dir / "originals"
    before = files_below(originals)
    text = b"# Canteen\n\nThe canteen serves gooseberry crumble on Thursdays."

    run = uploaded(house, text, "../../notes.md")

    assert (run["state"], run["kind"], run["started_by"]) == ("done", "upload", "max")
    document = house.asked("ann", "GET", f"/v1/documents/{run['document_id']}").json()
    assert document["source_uri"] == f"upload:/{run['id']}/notes.md"
    assert (document["name"], document["status"], document["right"]) == (
        "notes.md",
        "ingested",
        "read",
    )
    assert found(house, "ann", "gooseberry crumble")[0] == document["id"]
    assert len(files_below(originals) - before) == 1
    namesake = house.asked("ann", "GET", f"/v1/documents/{house.live.ids['text']}/text").json()
    assert namesake["text"] == NOTES, "another file's name replaces nothing"

    path = f"/v1/documents/{document['id']}"
    assert house.asked("ann", "DELETE", path).status_code == 403
    assert house.asked("bob", "DELETE", path).status_code == 404
    deleted = house.asked("max", "DELETE", path)
    assert deleted.json() == {"document_id": document["id"], "note": ""}
    assert document["id"] not in found(house, "ann", "gooseberry crumble")
    assert house.asked("ann", "GET", path).status_code == 404
    assert house.asked("max", "DELETE", path).status_code == 404
    assert files_below(originals) == before


def test_the_same_content_is_named_and_not_stored_again(house: House) -> None:
    again = house.asked("max", "POST", UP, files={"file": ("x.txt", NOTES.encode())})
    assert again.status_code == 200
    assert again.json()["document"]["id"] == house.live.ids["text"] and again.json()["run"] is None


def test_content_that_the_sender_may_not_read_is_not_betrayed(house: House) -> None:
    house.store.permissions.limit("hr", "/srv/documents/notes.md", ["user:ann"])
    response = house.asked("max", "POST", UP, content=NOTES.encode())
    assert response.status_code == 202 and response.json()["document"] is None
    house.asked("max", "POST", f"/v1/ingest-runs/{response.json()['run']['id']}/cancel")
    house.store.permissions.limit("hr", "/srv/documents/notes.md", None)


@pytest.mark.parametrize(
    ("name", "status"), [("ann", 403), ("bob", 404), ("ada", 404), ("operator", 200)]
)
def test_only_who_manages_a_collection_may_upload(house: House, name: str, status: int) -> None:
    assert house.asked(name, "POST", UP, content=NOTES.encode()).status_code == status
    nowhere = house.asked(name, "POST", "/v1/documents?collection=nowhere", content=b"x")
    assert nowhere.status_code == 404


@pytest.mark.long
def test_who_has_many_uploads_waiting_has_to_wait_before_the_next(house: House) -> None:
    with (house.store.data_dir / LOCK_FILE).open("w") as lock:
        wait_for(lambda: _is_mine(lock))  # so that no run begins
        sent = [
            house.asked("max", "POST", f"{UP}&name=n{n}.txt", content=f"Number {n}.".encode())
            for n in range(WAITING + 1)
        ]
        assert [each.status_code for each in sent] == [202] * WAITING + [429]
        assert int(sent[-1].headers["retry-after"]) >= 1
        assert "CITADEL_CALLER_UPLOADS_WAITING" in sent[-1].json()["hint"]
    for each in sent[:-1]:
        assert house.ended("max", each.json()["run"]["id"])["state"] == "done"
    assert uploaded(house, b"Number three.", "n3.txt")


def _is_mine(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({"content": b""}, 400, "empty (0 bytes)"),
        ({"files": {"file": ("a.txt", b"")}}, 400, "empty (0 bytes)"),
        ({"files": {"file": (None, b"no file")}}, 400, "has no file"),
        ({"files": [("a", ("a", b"a")), ("b", ("b", b"b"))]}, 400, "more than one file"),
        ({"files": {"file": ("a.txt", b"0" * (MAX_FILE_BYTES + 1))}}, 413, "larger than"),
        ({"content": b"0" * (MAX_FILE_BYTES * 2)}, 413, "larger than"),
        ({"content": (b"0" * 99_999 for _ in range(30))}, 413, "larger than"),
    ],
)
def test_what_is_no_file_is_refused_and_leaves_nothing(
    house: House, options: dict[str, object], status: int, says: str
) -> None:
    before = files_below(house.store.data_dir / "originals")
    response = house.asked("max", "POST", UP, **options)
    assert (response.status_code, response.json()["hint"] != "") == (status, True)
    assert says in response.json()["detail"]
    assert files_below(house.store.data_dir / "originals") == before


@pytest.mark.parametrize("body", [b"", b"--x", b"--x\r\nContent-Disp", b"\0\xff--x--"])
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "multipart/form-data"])
def test_a_form_that_cannot_be_read_is_refused(house: House, kind: str, body: bytes) -> None:
    response = house.asked("max", "POST", UP, content=body, headers={"Content-Type": kind})
    assert response.status_code == 400


def test_names_that_cannot_be_are_refused(house: House) -> None:
    for query in ("name=%00", "name=" + "a" * 501, "collection=%00"):
        assert house.asked("max", "POST", f"{UP}&{query}", content=b"x").status_code == 422


def test_an_archive_that_would_write_elsewhere_is_refused_with_a_reason(house: House) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
        archive.writestr("../../../slipped.txt", "slipped")
    run = uploaded(house, file.getvalue(), "slip.docx")

    assert (run["state"], run["document_id"]) == ("done", None)
    [failure] = run["failures"]  # type: ignore[misc]
    assert failure["error"] and failure["hint"]
    assert not [path for path in files_below(house.store.data_dir.parent) if "slip" in path.name]
    assert str(run["paths"]) not in str(house.store.failures()), "it leaves nothing but its run"


def test_a_file_in_a_folder_may_come_back_and_an_attachment_goes_with_its_mail(
    house: House,
) -> None:
    ids = house.live.ids
    response = house.asked("operator", "DELETE", f"/v1/documents/{ids['attached']}")
    assert response.status_code == 409 and str(ids["mail"]) in response.json()["hint"]
    response = house.asked("operator", "DELETE", f"/v1/documents/{ids['mail']}")
    assert "comes back" in response.json()["note"]
    assert house.asked("bob", "GET", f"/v1/documents/{ids['attached']}").status_code == 404


def test_the_list_is_narrowed_and_never_widened(house: House) -> None:
    def listed(query: str, name: str = "ann") -> set[str]:
        response = house.asked(name, "GET", f"/v1/documents?{query}")
        assert response.status_code == 200, response.text
        return {document["name"] for document in response.json()["documents"]}

    sample = {"handbook.pdf", "notes.md", "scan.png", "damaged.pdf"}
    assert listed("media_type=application/pdf") == {"handbook.pdf", "damaged.pdf"}
    assert listed("source=/srv/documents") == sample
    assert listed("source=/srv/documents/notes.md") == {"notes.md"}
    assert listed("source=/srv/docu") == listed("language=xx") == set()
    assert listed("ingested_before=2020-01-01T00:00:00Z") == set()
    assert listed("ingested_after=2020-01-01T00:00:00%2B02:00&source=/srv/documents") == sample
    assert listed("source=/srv/documents", "bob") == {"pay _now____X.html"}


@pytest.mark.parametrize(
    "query",
    ["ingested_after=x", "ingested_after=0001-01-01T00:00:00%2B23:00", "source=" + "a" * 2001],
)
def test_a_filter_that_cannot_be_is_refused(house: House, query: str) -> None:
    assert house.asked("ann", "GET", f"/v1/documents?{query}").status_code == 422


def test_a_document_that_has_not_changed_is_not_sent_again(house: House) -> None:
    path = f"/v1/documents/{house.live.ids['pdf']}"
    tag = house.asked("ann", "GET", path).headers["etag"]
    again = house.asked("ann", "GET", path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert house.asked("max", "GET", path, headers={"If-None-Match": tag}).status_code == 200
