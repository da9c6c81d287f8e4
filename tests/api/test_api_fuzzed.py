"""Ten thousand calls, half of which fit the API's own document: none ends in a 500.

Schemathesis makes them from `/openapi.json`; what comes back must be what the document says.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import api_samples
import pytest
import requests
import schemathesis
from api_live import TOKEN, Live, running, wait_for
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rag.appliance import Appliance
from rag.search.embed import load_embedder
from rag.settings import load_settings
from rag.store import Store

CALLS = 10_000
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Live]:
    """A server of its own: what is called may delete everything."""
    data_dir = tmp_path_factory.mktemp("fuzzed") / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(models)
    chosen = load_settings(data_dir=data_dir, token=TOKEN)
    with Store.open(chosen.url, data_dir=data_dir) as store:
        ids = api_samples.fill(store, load_embedder(chosen))
    with running(lambda: Appliance(chosen), ids) as live:
        with live.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield live


@pytest.mark.long  # two and a half minutes
@pytest.mark.timeout(600)
def test_no_call_of_ten_thousand_ends_in_a_500_or_in_what_the_document_does_not_say(
    fuzzed: Live,
) -> None:
    schema = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json", headers=BEARER)
    operations = [operation.ok() for operation in schema.get_all_operations()]
    each = CALLS // len(operations) // len(MODES) + 1
    seen: Counter[int] = Counter()
    with requests.Session() as session:
        session.trust_env = False
        for operation in operations:
            for mode in MODES:
                _fuzz(operation.as_strategy(generation_mode=mode), each, session, seen)
    assert seen.total() >= CALLS
    assert {200, 404, 422} <= seen.keys(), "calls of every kind were made"


def _fuzz(
    cases: SearchStrategy[Case], n_calls: int, session: requests.Session, seen: Counter[int]
) -> None:
    @settings(
        max_examples=n_calls,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def call(case: Case) -> None:
        response = case.call(headers=BEARER, session=session)
        seen[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    call()
