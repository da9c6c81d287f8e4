"""Ingest runs over HTTP: which folders, watched, cancelled, killed, and seen by whom."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from api_house import House, open_house
from api_live import wait_for

from rag.api.bodies import feeding_models
from rag.api.runner import Runner

N_MANY = 1500
RUNS = "/v1/ingest-runs"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("runs")
    shared = folder / "shared"
    for name in ("few", "many"):
        (shared / name).mkdir(parents=True)
    (shared / "few/rules.txt").write_text("Bicycles are kept in the eastern courtyard.")
    (shared / "few/broken.pdf").write_bytes(b"%PDF-1.7\nthis is no document")
    for n in range(N_MANY):
        (shared / f"many/{n:04}.txt").write_text(f"Locker {n} belongs to employee number {n * 7}.")
    (folder / "private").mkdir()
    (shared / "link").symlink_to(folder / "private")
    with open_house(folder, models, ingest_roots=[shared, folder / "data"]) as house:
        yield house


def shared(house: House, name: str) -> str:
    return str(house.store.data_dir.parent / "shared" / name)


def started(house: House, name: str, folder: str, collection: str = "hr") -> httpx.Response:
    body = {"collection": collection, "paths": [folder]}
    return house.asked(name, "POST", RUNS, json=body)


def events(client: httpx.Client, run_id: int) -> list[tuple[str, dict[str, Any]]]:
    """All that a watcher is sent."""
    text = client.get(f"{RUNS}/{run_id}/events").text
    found = []
    for event in text.strip().split("\n\n"):
        name, _, data = event.partition("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def under_way(house: House, run_id: int) -> None:
    """Wait until a run has committed something."""
    wait_for(lambda: house.store.runs.one(run_id).counts.done > 0)


def test_a_run_is_watched_to_its_end_and_says_what_could_not_be_read(house: House) -> None:
    response = started(house, "max", shared(house, "few"))
    assert response.status_code == 202
    run = feeding_models.Run.model_validate(response.json())
    assert (run.kind, run.started_by, run.paths) == ("folders", "max", [shared(house, "few")])

    with house.signed_in("max") as client:
        seen = events(client, run.id)

    assert {name for name, _ in seen} == {"run"}
    last = feeding_models.Run.model_validate(seen[-1][1])
    assert (last.state, last.counts.added, last.counts.failed) == ("done", 1, 1)
    [failure] = last.failures
    assert failure.path == shared(house, "few/broken.pdf")
    assert failure.error and failure.hint and last.ended_at is not None
    failures = house.asked("max", "GET", "/v1/failures").json()["failures"]
    assert failure.path in {each["path"] for each in failures}
    assert house.asked("ann", "GET", "/v1/failures").json()["failures"] == []
    hit = house.asked("ann", "POST", "/v1/search", json={"query": "eastern courtyard"})
    assert hit.json()["hits"][0]["source_uri"] == shared(house, "few/rules.txt")


def test_a_cancelled_run_stops_and_keeps_what_it_has_committed(house: House) -> None:
    run_id = started(house, "max", shared(house, "many")).json()["id"]
    waiting = started(house, "max", shared(house, "few")).json()["id"]
    under_way(house, run_id)

    for number in (waiting, run_id):
        assert house.asked("ann", "POST", f"{RUNS}/{number}/cancel").status_code == 404
        assert house.asked("max", "POST", f"{RUNS}/{number}/cancel").status_code == 202

    assert house.ended("max", waiting)["state"] == "cancelled"
    run = house.ended("max", run_id)
    assert run["state"] == "cancelled"
    kept = len(house.store.sources("hr", shared(house, "many")))
    assert 0 < kept < N_MANY
    assert house.asked("max", "POST", f"{RUNS}/{run_id}/cancel").json() == run, "it stays so"


def test_a_run_whose_process_is_killed_has_failed(house: House) -> None:
    run_id = started(house, "max", shared(house, "many")).json()["id"]
    under_way(house, run_id)
    [child] = [c for c in psutil.Process().children() if "ingest.run" in c.cmdline()]
    child.kill()
    run = house.ended("max", run_id)
    assert run["state"] == "failed"
    assert "died" in run["message"] and run["hint"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/etc", 403),
        ("{shared}/../private", 403),
        ("{shared}/link", 403),
        ("{shared}/few/../../private", 403),
        ("{shared}/../data/originals", 403),
        ("{shared}", 202),
        ("{shared}/nothing", 400),
        ("{shared}/\0", 422),
        ("relative", 422),
        ("", 422),
    ],
)
def test_only_what_lies_below_the_named_folders_is_ingested(
    house: House, path: str, status: int
) -> None:
    folder = path.format(shared=shared(house, ""))
    response = started(house, "max", folder)
    assert response.status_code == status, response.text
    if status == 202:
        house.asked("max", "POST", f"{RUNS}/{response.json()['id']}/cancel")
    if status == 403:
        assert response.json()["hint"]


def test_only_who_manages_a_collection_starts_runs(house: House) -> None:
    assert started(house, "ann", shared(house, "few")).status_code == 403
    for name in ("bob", "ada"):  # an admin may not read it either, and so cannot feed it
        assert started(house, name, shared(house, "few")).status_code == 404
    assert started(house, "max", shared(house, "few"), "nowhere").status_code == 404


def test_runs_are_listed_to_who_has_started_them_or_manages_their_collection(
    house: House,
) -> None:
    def listed(name: str, query: str = "") -> feeding_models.RunList:
        response = house.asked(name, "GET", f"{RUNS}?{query}")
        return feeding_models.RunList.model_validate(response.json())

    everything = listed("max").runs
    assert [run.id for run in everything] == sorted((run.id for run in everything), reverse=True)
    assert listed("ann").runs == listed("bob").runs == []
    assert [run.id for run in listed("ada").runs] == [run.id for run in everything]
    first = listed("max", "limit=1")
    second = listed("max", f"limit=1&cursor={first.next_cursor}")
    assert [first.runs[0].id, second.runs[0].id] == [run.id for run in everything[:2]]
    assert house.asked("ann", "GET", f"{RUNS}/{everything[0].id}").status_code == 404
    assert house.asked("ann", "GET", f"{RUNS}/{everything[0].id}/events").status_code == 404
    assert house.asked("ann", "GET", f"{RUNS}/{2**63 - 1}").status_code == 404


def test_a_run_is_not_done_for_who_may_no_longer_manage_the_collection(house: House) -> None:
    house.store.permissions.grant("hr", "user:max", "read")
    number = house.store.runs.add("hr", house.store.user_number("max"), [shared(house, "few")])
    wait_for(lambda: house.store.runs.one(number).ended_at is not None)
    run = house.store.runs.one(number)
    house.store.permissions.grant("hr", "user:max", "manage")
    assert (run.state, "no longer manage" in run.message) == ("failed", True)


def test_who_manages_a_collection_no_more_is_not_told_the_files_of_its_runs(house: House) -> None:
    run_id = started(house, "max", shared(house, "few")).json()["id"]
    told = house.ended("max", run_id)
    assert told["paths"] and told["failures"]
    house.store.permissions.grant("hr", "user:max", "read")
    for name in ("max", "ada"):  # who has started it, and an admin to whom nothing is granted
        one = house.asked(name, "GET", f"{RUNS}/{run_id}")
        listed = house.asked(name, "GET", RUNS)
        cancelled = house.asked(name, "POST", f"{RUNS}/{run_id}/cancel")
        for response in (one, listed, cancelled):
            assert response.is_success
            assert "/few" not in response.text and "broken.pdf" not in response.text
        assert (one.json()["paths"], one.json()["failures"]) == ([], [])
        assert one.json()["counts"] == told["counts"]
    house.store.permissions.grant("hr", "user:max", "manage")
    assert house.asked("max", "GET", f"{RUNS}/{run_id}").json() == told


@pytest.mark.parametrize("loses", ["key", "right", "account"])
def test_who_watches_a_run_sees_no_more_of_it_than_of_a_new_request(
    house: House, loses: str
) -> None:
    store, number = house.store, house.store.user_number("max")
    key, text = store.keys.add(number, "watching", ["ingest"])
    run_id = started(house, "max", shared(house, "many")).json()["id"]
    events = f"{RUNS}/{run_id}/events"
    headers = {"Authorization": f"Bearer {text}"}
    with house.live.client(headers=headers) as client, client.stream("GET", events) as response:
        lines = (line for line in response.iter_lines() if line.startswith(("event", "data")))
        assert next(lines) == "event: run" and "/many" in next(lines)
        if loses == "key":
            store.keys.revoke(key.id)
        elif loses == "account":
            store.permissions.set_disabled("max", True)
        else:
            store.permissions.grant("hr", "user:max", "read")
            store.runs.cancel(run_id)
        after = [line.partition(": ")[2] for line in lines]
    store.permissions.set_disabled("max", False)
    store.permissions.grant("hr", "user:max", "manage")
    store.runs.cancel(run_id)
    house.ended("max", run_id)
    if loses == "right":
        assert json.loads(after[-1])["paths"] == []
    else:
        assert (after[-2], json.loads(after[-1])["status"]) == ("error", 401)


def test_an_upload_keeps_its_name_for_who_has_sent_it_and_for_nobody_else(house: House) -> None:
    sent = house.asked(
        "max", "POST", "/v1/documents?collection=hr&name=mine.pdf", content=b"%PDF-1.7\nno document"
    )
    run_id = sent.json()["run"]["id"]
    house.ended("max", run_id)
    house.store.permissions.revoke("hr", "user:max")
    own, admins = (house.asked(name, "GET", f"{RUNS}/{run_id}") for name in ("max", "ada"))
    house.store.permissions.grant("hr", "user:max", "manage")
    assert "mine.pdf" in own.json()["paths"][0]
    assert "mine.pdf" not in admins.text


def test_no_folder_may_be_ingested_where_none_is_named(house: House) -> None:
    from rag.errors import Forbidden
    from rag.folders import allowed
    from rag.settings import Settings

    with pytest.raises(Forbidden, match="lies below no folder") as refused:
        allowed(shared(house, "few"), Settings())
    assert "CITADEL_INGEST_ROOTS" in refused.value.hint


def test_a_run_that_the_end_of_the_server_interrupts_goes_on_when_it_is_started_again(
    house: House,
) -> None:
    state = house.live.app.state
    run_id = started(house, "max", shared(house, "many")).json()["id"]
    under_way(house, run_id)
    state.runner.close()
    assert house.store.runs.one(run_id).state == "waiting"
    state.runner = Runner(house.store, state.backing.appliance().settings)
    wait_for(lambda: house.store.runs.one(run_id).state == "running")
    house.asked("max", "POST", f"{RUNS}/{run_id}/cancel")
    assert house.ended("max", run_id)["state"] == "cancelled"
