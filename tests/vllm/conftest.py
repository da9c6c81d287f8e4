"""Two real vLLM servers for all tests of this folder, and a fake beside the real one.

`pair` starts both once, side by side. A test takes `real_engine` and `real_guard`, which run and
have no script at its beginning, whatever the test before did to them.
"""

from collections.abc import Iterator

import pytest

from tests.vllm.contract import Contract, FakeServer, RealServer
from tests.vllm.serve import WINDOW_TOKENS, RealVLLM, installed, make_models, serving

TIMEOUT_S = 400  # two starts on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests in this folder may start the servers."""
    for item in items:
        if item.path.parent.name == "vllm":
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[RealVLLM]]:
    """The engine and the guard."""
    if not installed():
        pytest.fail("vLLM is not installed: make test-vllm does it", pytrace=False)
    models = make_models(request.config.cache.mkdir("citadel-vllm"))
    with serving(models, ["engine", "guard"], tmp_path_factory.mktemp("vllm")) as servers:
        yield servers


def _ready(server: RealVLLM) -> RealVLLM:
    server.script()
    if not server.runs:
        server.start()
    server.wait()
    return server


@pytest.fixture
def real_engine(pair: list[RealVLLM]) -> RealVLLM:
    """The server of the engine; what it wrote before is in its prefix cache."""
    return _ready(pair[0])


@pytest.fixture
def real_guard(pair: list[RealVLLM]) -> RealVLLM:
    """The server of the guard."""
    return _ready(pair[1])


@pytest.fixture(params=["fake", "real"])
def server(request: pytest.FixtureRequest) -> Iterator[Contract]:
    """An engine, once the fake and once the real one: what holds of one must hold of the other."""
    if request.param == "real":
        yield RealServer(request.getfixturevalue("real_engine"))
    else:
        with FakeServer.running(WINDOW_TOKENS["engine"]) as fake:
            yield fake


@pytest.fixture(params=["fake", "real"])
def guard_server(request: pytest.FixtureRequest) -> Iterator[Contract]:
    """A guard, once the fake and once the real one."""
    if request.param == "real":
        yield RealServer(request.getfixturevalue("real_guard"))
    else:
        with FakeServer.judging(WINDOW_TOKENS["guard"]) as fake:
            yield fake
