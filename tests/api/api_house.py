"""A server with people: ada administers, max manages hr, ann reads it, bob reads nothing of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import api_samples
import httpx
from api_live import TOKEN, Live, running, wait_for

from rag.appliance import Appliance
from rag.search.embed import load_embedder
from rag.settings import load_settings
from rag.store import Store

ENDED = {"done", "failed", "cancelled"}


@dataclass(frozen=True)
class House:
    """A running server, its store, and whom it knows."""

    live: Live
    store: Store

    @contextmanager
    def signed_in(self, name: str) -> Iterator[httpx.Client]:
        """A client with the session of a user, or the token of the operator."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if name != "operator":
            session = self.live.session(self.store.user_number(name))
            host = f"127.0.0.1:{self.live.port}"
            headers = {"Cookie": f"citadel_session={session}", "Host": host}
        with self.live.client(headers=headers) as client:
            yield client

    def asked(self, name: str, method: str, path: str, **options: Any) -> httpx.Response:
        """What one request of a user is answered."""
        with self.signed_in(name) as client:
            return client.request(method, path, **options)

    def ended(self, name: str, run_id: int) -> dict[str, Any]:
        """A run when it has ended."""
        found: dict[str, Any] = {}

        def has_ended() -> bool:
            found.update(client.get(f"/v1/ingest-runs/{run_id}").json())
            return found["state"] in ENDED

        with self.signed_in(name) as client:
            wait_for(has_ended)
        return found


@contextmanager
def open_house(folder: Path, models: Path, **options: Any) -> Iterator[House]:
    """The house over a data directory of its own below `folder`."""
    data_dir = folder / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(models)
    settings = load_settings(data_dir=data_dir, token=TOKEN, **options)
    with Store.open(settings.url, data_dir=data_dir) as store:
        ids = api_samples.fill(store, load_embedder(settings))
        for name in ("ada", "max", "ann", "bob"):
            store.permissions.add_principal("user", name)
        store.accounts.give_role("user:ada", "admin")
        store.permissions.grant("hr", "user:max", "manage")
        store.permissions.grant("hr", "user:ann", "read")
        store.permissions.grant("finance", "user:bob", "read")
        with running(lambda: Appliance(settings), ids) as live:
            with live.client() as client:
                wait_for(lambda: client.get("/readyz").status_code == 200)
            yield House(live, store)
