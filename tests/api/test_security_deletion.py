"""What was deleted is gone at once, for everybody and for good, and so are its numbers."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import api_samples
import faiss
import httpx
import pytest
from api_clients import BEARER, QUESTION
from api_doors import DOORS, NAMED, betrayed, shows
from api_house import House, open_house
from api_live import TOKEN, running, wait_for
from sqlalchemy import inspect

from rag.appliance import Appliance
from rag.search.embed import load_embedder
from rag.settings import Settings, load_settings
from rag.store import Store, tables
from tests.library import put

SERVER = """
import sys
import uvicorn
from rag.api.app import create_app
from rag.api.border.quotas import Shares
from rag.api.serve import bound_socket, server_config
from rag.appliance import Appliance
from rag.settings import load_settings

folder, token = sys.argv[1:]
settings = load_settings(data_dir=folder, token=token)
with bound_socket("127.0.0.1", 0, "--port") as bound:
    port = bound.getsockname()[1]
    where = dict(token=token, host="127.0.0.1", port=port, ui_port=1)
    app = create_app(lambda: Appliance(settings), **where, shares=Shares(10**6, 10**9, 10**3))
    print(port, flush=True)
    uvicorn.Server(server_config(app)).run([bound])
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("deleted"), models) as house:
        yield house


@contextmanager
def another_server(settings: Settings, ids: dict[str, int]) -> Iterator[httpx.Client]:
    """A client of one more server over the same data, as the operator."""
    with running(lambda: Appliance(settings), ids) as live, live.client(headers=BEARER) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        yield client


def settings_of(house: House) -> Settings:
    settings: Settings = house.live.app.state.backing.appliance().settings
    return settings


def assert_gone(client: httpx.Client, document: int) -> None:
    """See that no way leads to the handbook."""
    for door, through in DOORS.items():
        response = through(client, document)
        assert not shows(door, response) and betrayed(response, document) == [], door


def test_a_deleted_document_is_gone_at_the_next_request_everywhere(house: House) -> None:
    """Row: deleted files went on being found and cited."""
    pdf, store = house.live.ids["pdf"], house.store
    image = f"/v1/documents/{pdf}/pages/1.png?width=100"
    with (
        another_server(settings_of(house), house.live.ids) as other,
        house.signed_in("operator") as here,
        house.signed_in("ann") as ann,
    ):
        for client in (here, other, ann):
            assert all(shows(door, through(client, pdf)) for door, through in DOORS.items())
        talk = ann.post("/v1/conversations", json={}).json()["id"]
        asked = {"question": QUESTION, "conversation_id": talk}
        assert api_samples.LEAVE in ann.post("/v1/query", json=asked).text
        seen = ann.get(image).headers["etag"]

        assert house.asked("max", "DELETE", f"/v1/documents/{pdf}").status_code == 200

        for client in (other, here, ann):
            assert_gone(client, pdf)
        for part in ("", "/export", "/export?format=markdown"):
            assert betrayed(ann.get(f"/v1/conversations/{talk}{part}"), pdf) == []
        assert ann.get(image, headers={"If-None-Match": seen}).status_code == 404
    [snapshot, *_] = store.snapshots.of_kind("dense")
    assert snapshot.seq < store.head(), "it still has the document"
    with another_server(settings_of(house), house.live.ids) as restarted:
        assert_gone(restarted, pdf)


@pytest.fixture
def filled(tmp_path: Path, models: Path) -> tuple[Settings, dict[str, int]]:
    """The samples in a store that no server has opened."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(models)
    settings = load_settings(data_dir=data_dir, token=TOKEN)
    with Store.open(settings.url, data_dir=data_dir) as store:
        return settings, api_samples.fill(store, load_embedder(settings))


def test_a_deletion_that_was_acknowledged_outlives_a_server_that_is_killed(
    filled: tuple[Settings, dict[str, int]],
) -> None:
    """Row: deleted files went on being found and cited; here, after a crash."""
    settings, ids = filled
    command = [sys.executable, "-c", SERVER, str(settings.data_dir), TOKEN]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        where = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        with httpx.Client(base_url=where, headers=BEARER, trust_env=False, verify=False) as client:
            wait_for(lambda: is_ready(client))
            assert shows("search", DOORS["search"](client, ids["pdf"]))
            deleted = client.delete(f"/v1/documents/{ids['pdf']}")
            server.kill()
        assert deleted.status_code == 200
    finally:
        server.kill()
        server.communicate()
    assert server.returncode == -signal.SIGKILL
    with another_server(settings, ids) as client:
        assert_gone(client, ids["pdf"])
        assert client.get("/v1/documents").json()["total"] == len(ids) - 1


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.ConnectError:  # bound, and not yet listening
        return False


def test_a_snapshot_that_was_tampered_with_is_not_even_opened(
    filled: tuple[Settings, dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row: index files are read by native code, which trusts what it reads."""
    settings, ids = filled
    with Appliance(settings) as appliance:  # writes the first snapshots
        old = settings.data_dir / appliance.store.snapshots.of_kind("dense")[0].path
        kept = shutil.copytree(old, settings.data_dir.parent / "kept")
        appliance.store.remove_document(appliance.store.access_to_all(), ids["pdf"])
        appliance.indexes.catch_up()
        appliance.indexes.publish()
        new = settings.data_dir / appliance.store.snapshots.of_kind("dense")[0].path
    assert new != old
    shutil.rmtree(new)
    shutil.copytree(kept, new)  # in which the deleted document can be found
    opened: list[str] = []
    read = faiss.read_index

    def read_index(path: str, *options: Any) -> Any:
        opened.append(path)
        return read(path, *options)

    monkeypatch.setattr(faiss, "read_index", read_index)
    said: list[str] = []
    with Appliance(settings, said.append) as appliance:
        found = appliance.search(QUESTION, appliance.store.access_to_all()).hits
    assert any(f"{new.name} is damaged; it is not used" in line for line in said)
    assert not [path for path in opened if Path(path).is_relative_to(new)]
    assert found and ids["pdf"] not in {hit.chunk.document_id for hit in found}


def test_a_file_that_is_removed_is_gone_when_the_command_has_said_so(
    house: House, tmp_path: Path
) -> None:
    """Row: deleted files went on being found and cited; here, by a process beside the server."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files/rules.txt").write_text("Bicycles are kept in the eastern courtyard.")
    file = str(tmp_path / "files/canteen.txt")
    embedder = house.live.app.state.backing.appliance().embedder
    put(house.store, embedder, file, "The canteen serves gooseberry crumble on Thursdays.", "hr")
    with house.signed_in("ann") as ann:
        assert "gooseberry" in ann.post("/v1/search", json={"query": "dessert"}).text
        program = "from rag.cli import main; main()"
        command = [sys.executable, "-c", program, "--data-dir", str(house.store.data_dir)]
        command += ["ingest", str(tmp_path / "files"), "--collection", "hr"]
        subprocess.run(command, check=True, capture_output=True)
        for door in ("/v1/search", "/v1/query"):
            asked = {"query" if door == "/v1/search" else "question": "What is for dessert?"}
            assert "gooseberry" not in ann.post(door, json=asked).text
        assert "canteen" not in ann.get("/v1/documents?limit=200").text


# Numbers and names


def test_no_number_is_given_twice(house: House) -> None:
    """Row: what had been deleted was another's when its number came back."""
    store, embedder = house.store, house.live.app.state.backing.appliance().embedder
    numbers: dict[str, list[int]] = {}

    def noted(kind: str, number: int) -> int:
        numbers.setdefault(kind, []).append(number)
        return number

    with house.signed_in("operator") as client:
        for _ in range(3):
            document = noted("document", put(store, embedder, "/srv/x.txt", "A word.", "hr"))
            talk = noted("talk", client.post("/v1/conversations", json={}).json()["id"])
            made = client.post("/v1/keys", json={"name": "x", "scopes": ["query"]}).json()
            client.post("/v1/users", json={"name": "zoe"})
            session = house.live.session(noted("user", store.user_number("zoe")))
            noted("session", store.signing.sessions(store.user_number("zoe"))[0].id)
            assert client.delete(f"/v1/documents/{document}").status_code == 200
            assert client.delete(f"/v1/conversations/{talk}").status_code == 204
            assert client.delete(f"/v1/keys/{noted('key', made['id'])}").status_code == 204
            assert client.delete("/v1/users/zoe").status_code == 200
            assert store.signing.session(session) is None
    for kind, given in numbers.items():
        assert len(given) == 3 and given == sorted(set(given)), kind


def test_every_table_that_gives_numbers_remembers_the_highest(house: House) -> None:
    """Row: what had been deleted was another's when its number came back; SQLite reuses them."""
    with house.store._database.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql != ''")
        made = {name: sql for name, sql in rows if sql.startswith("CREATE TABLE")}
        there = set(inspect(connection).get_table_names())
    numbered = {
        table.name
        for table in tables.metadata.tables.values()
        if (column := table.autoincrement_column) is not None and not column.foreign_keys
    }
    assert len(numbered) > 10 and numbered <= there
    assert [name for name in numbered if "AUTOINCREMENT" not in made[name]] == []


def test_who_comes_by_a_name_that_was_another_s_inherits_nothing(house: House) -> None:
    """Row: what belonged to a name was given to whoever had that name next."""
    text = house.live.ids["text"]
    with house.signed_in("operator") as operator:
        operator.post("/v1/users", json={"name": "yan"})
        granted = {"collection": "hr", "principal": "user:yan", "right": "read"}
        assert operator.put("/v1/grants", json=granted).status_code == 200
        with house.signed_in("yan") as yan:
            assert yan.get(f"/v1/documents/{text}").status_code == 200
            talk = yan.post("/v1/conversations", json={"title": "Mine"}).json()["id"]
            made = yan.post("/v1/keys", json={"name": "mine", "scopes": ["search"]}).json()
            assert operator.delete("/v1/users/yan").status_code == 200
            assert operator.post("/v1/users", json={"name": "yan"}).status_code == 201
            assert yan.get("/v1/me").status_code == 401
    with house.live.client(headers={"Authorization": f"Bearer {made['key']}"}) as old_key:
        assert old_key.get("/v1/me").status_code == 401
    with house.signed_in("yan") as yan:
        assert yan.get("/v1/conversations").json()["conversations"] == []
        assert yan.get(f"/v1/conversations/{talk}").status_code == 404
        assert yan.get("/v1/keys").json()["keys"] == []
        assert yan.get("/v1/documents").json()["total"] == 0
        assert not any(shows(door, through(yan, text)) for door, through in NAMED.items())


def test_a_collection_of_an_old_name_opens_to_nobody_who_could_read_the_old_one(
    house: House,
) -> None:
    """Row: what belonged to a name was given to whoever had that name next."""
    embedder = house.live.app.state.backing.appliance().embedder
    found = []
    with house.signed_in("operator") as operator, house.signed_in("ann") as ann:
        for _ in range(2):
            assert operator.post("/v1/collections", json={"name": "board"}).status_code == 201
            number = put(house.store, embedder, "/srv/bonus.txt", "The bonus is high.", "board")
            if not found:
                house.store.permissions.grant("board", "user:ann", "read")
            found.append(ann.get(f"/v1/documents/{number}").status_code)
            searched = ann.post("/v1/search", json={"query": "bonus", "collection": "board"})
            found.append(searched.status_code)
            assert operator.delete("/v1/collections/board?force=true").is_success
    assert found == [200, 200, 404, 404]


def test_a_file_that_is_empty_is_not_taken_for_anothers(house: House) -> None:
    """Row: an upload of no bytes became somebody else's file of that name."""
    where = "/v1/documents?collection=hr&name=notes.md"
    with house.signed_in("max") as client:
        there = client.get("/v1/documents?limit=200").json()
        for sent in ({"content": b""}, {"files": {"file": ("notes.md", b"")}}):
            response = client.post(where, **sent)
            assert response.status_code == 400 and "document_id" not in response.text
        assert client.get("/v1/ingest-runs").json()["runs"] == []
        other = client.post(where, content=b"Other rules than those of the same name.").json()
        assert other["document"] is None
        client.post(f"/v1/ingest-runs/{other['run']['id']}/cancel")
        house.ended("max", other["run"]["id"])
        told = client.get(f"/v1/documents/{house.live.ids['text']}/text").json()["text"]
        assert told == api_samples.NOTES
        now = client.get("/v1/documents?limit=200").json()["documents"]
        assert all(document in now for document in there["documents"])
