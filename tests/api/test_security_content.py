"""Documents that are weapons: nothing of them is fetched, run, linked, unpacked or followed."""

import ast
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import api_hostile
import pytest
from api_doors import chat, tool
from api_hostile import FOUND, SAYS, SECRET, Listener, listening
from api_house import House, open_house
from api_live import TOKEN
from api_product import PRODUCT, imported
from api_rendered import assert_harmless

UNPICKLING = {"pickle", "_pickle", "shelve", "marshal", "joblib", "dill", "cloudpickle"}
UNPICKLING |= {"pandas.read_pickle", "numpy.load", "torch.load"}
QUESTION = f"On which day does the canteen serve {FOUND}?"


@dataclass(frozen=True)
class Hostile:
    """A house that has swallowed the folder."""

    house: House
    run: dict[str, Any]  # the ingest run
    listener: Listener

    @property
    def documents(self) -> list[dict[str, Any]]:
        listed = self.house.asked("operator", "GET", "/v1/documents?collection=hr&limit=200")
        found: list[dict[str, Any]] = listed.json()["documents"]
        return [document for document in found if "/hostile/" in document["source_uri"]]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Hostile]:
    folder = tmp_path_factory.mktemp("weapons")
    shared = folder / "hostile"
    shared.mkdir()
    with listening() as listener:
        api_hostile.fill(shared, listener.port)
        traps = api_hostile.archives(folder / "secret.txt") | api_hostile.pickled(folder / "sprung")
        for name, content in traps.items():
            (shared / name).write_bytes(content)
        (shared / "nested.eml").write_text(api_hostile.nested_mail(200))
        with open_house(folder, models, ingest_roots=[shared]) as house:
            body = {"collection": "hr", "paths": [str(shared)]}
            started = house.asked("max", "POST", "/v1/ingest-runs", json=body)
            yield Hostile(house, house.ended("max", started.json()["id"]), listener)


def test_nothing_that_a_document_names_is_ever_fetched(hostile: Hostile) -> None:
    """Row: the server fetched the addresses of pictures in a file that somebody had uploaded."""
    names = {document["name"] for document in hostile.documents}
    assert {"pictures.md", "page.html", "mail.eml", "letter.docx", "slides.pptx"} <= names
    assert {"sheet.xlsx", "notes.rst", "letter.rtf", "book.epub", "plan.pdf"} <= names
    with hostile.house.signed_in("ann") as ann:
        for document in hostile.documents:
            path = f"/v1/documents/{document['id']}"
            told = ann.get(f"{path}/text").text
            assert SECRET not in told, "neither from the network nor from another folder"
            for part in ("", "/passage?start=0&end=9", "/pages", "/pages/1.png", "/original"):
                assert ann.get(path + part).status_code in (200, 404, 502)
            tool(ann, "fetch", id=str(document["id"]))
        for response in (chat(ann, QUESTION), ann.post("/v1/search", json={"query": QUESTION})):
            assert FOUND in response.text
    assert hostile.listener.calls == []


# Markup and links


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_has_no_markup_and_no_link_of_a_documents(hostile: Hostile, stream: bool) -> None:
    """Row: script in Markdown was run, and citations linked to `javascript:`."""
    asked = [document["title"] for document in hostile.documents]
    base = hostile.house.live.url
    with hostile.house.signed_in("ann") as ann:
        for question in (QUESTION, *(f"What does {title} say of {FOUND}?" for title in asked)):
            if stream:
                response = chat(ann, question, stream=True).text
                pieces = re.findall(r'"content": ?("(?:[^"\\]|\\.)*")', response)
                text = "".join(json.loads(piece) for piece in pieces)
            else:
                text = chat(ann, question).json()["choices"][0]["message"]["content"]
            assert FOUND in text
            assert_harmless(text, base)


def test_an_exported_conversation_has_no_markup_and_no_link_of_a_documents(
    hostile: Hostile,
) -> None:
    """Row: script in Markdown was run, and citations linked to `javascript:`; here, in a file."""
    with hostile.house.signed_in("ann") as ann:
        number = ann.post("/v1/conversations", json={"title": "<script>alert(9)</script>"}).json()[
            "id"
        ]
        for question in (QUESTION, f"<img src=x onerror=alert(1)> {QUESTION}"):
            body = {"question": question, "conversation_id": number}
            assert ann.post("/v1/query", json=body).json()["status"] == "answered"
        saved = ann.get(f"/v1/conversations/{number}/export?format=markdown")
    assert FOUND in saved.text
    assert_harmless(saved.text, "https://no.link.is.ours")
    assert saved.headers["content-disposition"].startswith("attachment")


def test_whatever_leaves_says_what_it_is_and_is_not_run(hostile: Hostile) -> None:
    """Row: a file with script in it was shown by the browser that had asked for it."""
    with hostile.house.signed_in("ann") as ann:
        for document in hostile.documents:
            saved = ann.get(f"/v1/documents/{document['id']}/original")
            assert saved.headers["content-disposition"].startswith("attachment;")
            assert not re.search(r'[<>\r\n]|filename="[^"]*/', saved.headers["content-disposition"])
            assert saved.headers["content-security-policy"].startswith("sandbox")
            assert saved.headers["x-content-type-options"] == "nosniff"
            for part in ("", "/text", "/passage?start=0&end=9", "/pages"):
                told = ann.get(f"/v1/documents/{document['id']}{part}").headers
                assert told["content-type"] == "application/json"
                assert told["x-content-type-options"] == "nosniff"
    with hostile.house.live.client() as browser:
        form = {"name": '"><script>alert(1)</script>', "password": "x"}
        assert "<script>alert" not in browser.post("/login", data=form).text


# Archives


def test_archives_that_are_traps_are_refused_with_a_reason(hostile: Hostile) -> None:
    """Row: an archive wrote outside of where it was unpacked, or unpacked without end."""
    failed = {Path(f["path"]).name: f for f in hostile.run["failures"]}
    expected = {
        "up.docx": "outside",
        "absolute.xlsx": "outside",
        "windows.docx": "outside",
        "drive.epub": "outside",
        "link.docx": "link",
        "link.epub": "link",
        "locked.docx": "password",
        "bomb.docx": "times its size",
        "crowd.docx": "20,00",
        "laughs.docx": "entities",
    }
    for name, reason in expected.items():
        assert reason in failed[name]["error"], failed[name]
        assert failed[name]["hint"]
    there = hostile.house.store.data_dir.parent.rglob("*slipped*")
    assert list(there) == [] and not Path("/slipped").exists()
    assert hostile.run["state"] == "done", "the other files are not held up"


def test_what_is_packed_without_end_is_read_to_a_bounded_depth(hostile: Hostile) -> None:
    """Row: an archive unpacked without end; here, a mail in a mail in a mail."""
    parts = [d for d in hostile.documents if "nested.eml" in d["source_uri"]]
    assert len(parts) < 20


# Pickle


def test_a_pickle_that_is_ingested_is_not_opened(hostile: Hostile) -> None:
    """Row: what was loaded as data was a program, which ran."""
    failed = {Path(failure["path"]).name for failure in hostile.run["failures"]}
    assert {"trap.pkl", "trap.npy", "trap.pt", "trap.bin"} <= failed
    assert not (hostile.house.store.data_dir.parent / "sprung").exists()


def test_nothing_in_the_product_can_unpickle() -> None:
    """Row: what was loaded as data was a program, which ran."""
    for path in PRODUCT:
        tree = ast.parse(path.read_text())
        assert not imported(tree) & UNPICKLING, path
        if "multiprocessing.connection" in imported(tree):
            used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            assert not used & {"recv", "send"}, f"{path}: only recv_bytes and send_bytes are safe"
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name, options = (
                ast.unparse(call.func),
                {o.arg: ast.unparse(o.value) for o in call.keywords},
            )
            if name in ("np.load", "np.save", "numpy.load", "np.fromfile"):
                assert options.get("allow_pickle") == "False", (path, call.lineno)
            assert name not in ("eval", "exec", "yaml.load", "torch.load"), (path, call.lineno)


# Paths

CLIMBING = (
    *("../../../../etc/passwd", "/etc/passwd", "..\\..\\api.token", "C:\\api.token", "...", ".."),
    *("a/../../../api.token", "..%2f..%2fapi.token", "\u202enekot.ipa", "a\r\nb", "-rf", "~/x"),
)


def test_an_uploads_name_is_a_label_and_no_path(hostile: Hostile) -> None:
    """Row: a file's name led out of the folder that uploads are kept in."""
    house, data = hostile.house, hostile.house.store.data_dir
    before = names_below(data.parent)
    secret, runs = (data / "session.secret").read_bytes(), []
    for n, name in enumerate(CLIMBING):
        content = f"upload {n} {SAYS}".encode()
        where = "/v1/documents?collection=hr"
        if n % 2:
            sent = house.asked("max", "POST", where, files={"file": (name, content)})
        else:
            sent = house.asked("max", "POST", f"{where}&name={quote(name)}", content=content)
        assert sent.status_code == 202, (name, sent.text)
        run = sent.json()["run"]
        [uri] = run["paths"]
        assert re.fullmatch(rf"upload:/{run['id']}/[^/\\]+", uri), uri
        assert uri.rpartition("/")[2].strip(".")
        runs.append(run["id"])
    for run_id in reversed(runs):
        house.asked("max", "POST", f"/v1/ingest-runs/{run_id}/cancel")
    for run_id in runs:
        house.ended("max", run_id)
    for path in names_below(data.parent) - before:
        ours = r"data/originals/[0-9a-f/]+|data/(snapshots|work)/.*|data/citadel\.db.*"
        assert re.fullmatch(ours, path), path
    assert (data / "session.secret").read_bytes() == secret


def names_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "up", ["..", "%2e%2e", "..%2f..", "..%5c..", "%252e%252e", "..;", "....//"]
)
@pytest.mark.parametrize(
    "path",
    [
        "/docs/{}/{}/{}/api.token",
        "/docs/{}%2f{}%2fetc%2fpasswd",
        "/docs/%2fetc%2fpasswd",
        "/v1/documents/{}/{}/session.secret",
        "/v1/documents/1/original/{}/{}/session.secret",
        "/v1/documents/1/pages/{}%2f{}%2fsession.secret.png",
        "/v1/documents/1/pages/1.png/{}/{}/{}/citadel.db",
        "/v1/collections/{}/{}",
        "/{}/{}/{}/{}/etc/passwd",
    ],
)
def test_no_address_leads_to_a_file_of_the_servers(hostile: Hostile, path: str, up: str) -> None:
    """Row: an address with dots in it was answered with any file of the machine."""
    connection = http.client.HTTPConnection("127.0.0.1", hostile.house.live.port, timeout=30)
    connection.request("GET", path.replace("{}", up), headers={"Authorization": f"Bearer {TOKEN}"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status in (404, 405, 422), (path, body[:300])
    assert response.headers["content-type"].startswith("application/problem+json")
    assert b"root:" not in body and b"SQLite format" not in body
