"""While the server loads, and when it cannot."""

import socket
import threading

import pytest
from api_live import TOKEN, running, wait_for

from rag.api.serve import bound_socket
from rag.appliance import Appliance
from rag.errors import StoreError
from rag.settings import Settings

PATHS = ["/readyz", "/metrics", "/v1/status", "/v1/documents", "/v1/collections"]


def test_it_listens_while_it_loads(settings: Settings, ids: dict[str, int]) -> None:
    go_on = threading.Event()

    def load() -> Appliance:
        assert go_on.wait(30)
        return Appliance(settings)

    headers = {"Authorization": f"Bearer {TOKEN}"}
    with running(load, ids) as live, live.client(headers=headers) as client:
        try:
            assert client.get("/healthz").json() == {"status": "ok"}
            for path in PATHS:
                response = client.get(path)
                assert response.status_code == 503
                assert response.headers["retry-after"] == "1"
                assert response.json()["type"] == "urn:citadel:problem:not-ready"
            asked = client.post("/v1/query", json={"question": "Why?"})
            assert asked.status_code == 503
            assert client.get("/login").status_code == 200
            signed_in = client.post("/login", data={"name": "ann", "password": "any"})
            assert signed_in.status_code == 503
            assert "Citadel is still loading" in signed_in.text
        finally:
            go_on.set()
        wait_for(lambda: client.get("/readyz").status_code == 200)
        assert client.get("/v1/documents").json()["total"] == len(ids)


@pytest.mark.parametrize("path", PATHS)
def test_it_says_why_it_could_not_load(path: str) -> None:
    def load() -> Appliance:
        raise StoreError("the database is damaged", hint="Restore it from a backup.")

    with (
        running(load, {}) as live,
        live.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        wait_for(live.app.state.backing.done.is_set)
        response = client.get(path)
        assert response.status_code == 503
        assert response.json()["detail"] == "the database is damaged"
        assert response.json()["hint"] == "Restore it from a backup."
        assert client.get("/healthz").status_code == 200


def test_a_short_request_does_not_wait_for_a_delayed_acknowledgement() -> None:
    # asyncio leaves Nagle's algorithm on for sockets whose protocol is not named: 40 ms each.
    with bound_socket("127.0.0.1", 0, "--port") as bound:
        assert bound.proto == socket.IPPROTO_TCP
