"""What the tests of several rooms share: the bundled model.

Converting the model takes many seconds, so pytest's cache keeps it from one run to the next, under
a name that changes with the code that converts. It is float32 unless a test says otherwise, in the
processes that tests start too: quantising takes longer still, and has its own tests.
"""

import hashlib
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import rag.search.convert
from rag.acting import SYSTEM, acting
from rag.search import calibration, precision, quantise
from rag.search.embed import Embedder, load_embedder
from rag.settings import Settings

os.environ.setdefault("CITADEL_EMBED_PRECISION", "f32")


@pytest.fixture(autouse=True)
def nobody_acts() -> Iterator[None]:
    """Who acts in one test, a command's operator say, is not who acts in the next."""
    token = acting.set(SYSTEM)
    yield
    acting.reset(token)


@pytest.fixture(scope="session")
def model_home(request: pytest.FixtureRequest) -> Path:
    """A data directory whose `models` holds the bundled model, converted."""
    modules = (rag.search.convert, precision, quantise, calibration)
    code = b"".join(Path(module.__file__).read_bytes() for module in modules)
    code += version("openvino").encode()
    home = Path(request.config.cache.mkdir(f"citadel-{hashlib.sha256(code).hexdigest()[:12]}"))
    load_embedder(Settings(data_dir=home, embed_backend="openvino"))
    return home


@pytest.fixture(scope="session")
def embedder(model_home: Path) -> Embedder:
    """The bundled model on OpenVINO, loaded once."""
    return load_embedder(Settings(data_dir=model_home, embed_backend="openvino"))


@pytest.fixture
def settings(tmp_path: Path, model_home: Path) -> Settings:
    """Settings with a data directory of their own, in which the model is already converted."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(model_home / "models")
    return Settings(data_dir=data_dir, embed_backend="openvino")
