"""A server goes on answering while another model is built, switched to and taken back."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import api_samples
import httpx
import pytest
from api_live import TOKEN, Live, running, wait_for
from other_models import Others, lay_out, prepared

from rag.appliance import Appliance
from rag.models.adding import add
from rag.models.building import build
from rag.models.switching import rollback, switch
from rag.search.embed import load_embedder
from rag.settings import Settings, load_settings
from rag.store import Store


@pytest.fixture
def others(request: pytest.FixtureRequest, model_home: Path) -> Others:
    return prepared(request.config, model_home)


@pytest.fixture
def chosen(tmp_path: Path, others: Others) -> Settings:
    data_dir = lay_out(tmp_path / "data", others)
    return load_settings(data_dir=data_dir, token=TOKEN, embed_backend="openvino")


@pytest.fixture
def server(chosen: Settings) -> Iterator[Live]:
    with Store.open(chosen.url, data_dir=chosen.data_dir) as store:
        ids = api_samples.fill(store, load_embedder(chosen))
    with running(lambda: Appliance(chosen), ids) as live:
        with live.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield live


@pytest.mark.long
def test_a_server_answers_throughout_and_changes_over(
    server: Live, chosen: Settings, others: Others
) -> None:
    ended = threading.Event()
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def ask(client: httpx.Client) -> int:
        n = 0
        while not ended.is_set():
            for path, body in (
                ("/v1/search", {"query": "annual leave"}),
                ("/v1/query", {"question": "How many days of annual leave do staff get?"}),
            ):
                response = client.post(path, json=body)
                assert response.status_code == 200, response.text
            n += 1
        return n

    with (
        server.client(headers=headers) as client,
        ThreadPoolExecutor(2) as pool,
        Store.open(chosen.url, data_dir=chosen.data_dir) as store,
    ):

        def uses(model_id: str) -> bool:
            return client.get("/v1/status").json()["model_id"] == model_id

        asking = [pool.submit(ask, client) for _ in range(2)]
        try:
            turned = add(store, chosen, others.turned, "turned", lambda _: None)
            build(store, chosen, turned, lambda made, wanted: None)
            switch(store, chosen, store.models.one("turned"), force=True, say=lambda _: None)
            wait_for(lambda: uses(turned.id))
            back = rollback(store, chosen, now=True, say=lambda _: None)
            wait_for(lambda: uses(back.id))
        finally:
            ended.set()
        assert all(future.result(timeout=30) > 1 for future in asking)
