"""A sentence-transformers directory to OpenVINO, once per model and machine.

The converter is OpenVINO's PyTorch frontend called directly: the package's own `convert_model`
reports usage statistics, the frontend does not (importing the package does: see `silent`). The
result is compared with sentence-transformers before it is trusted, and lands by rename, so that a
killed or a second conversion does no harm. It runs in a process of its own: torch would otherwise
stay in the memory of the ingest.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import ModelError

MIN_COSINE = 0.9999
PROBES = (
    "How long is the notice period?",
    "Either party may terminate this agreement with ninety days' written notice.",
    "Überstunden werden bis zum Ende des Quartals ausgeglichen. " * 12,
    "x",
)


def convert(model_dir: Path, target: Path) -> Path:
    """Convert the model in `model_dir` into `target` unless it is there already.

    Raises:
        ModelError: the model cannot be converted faithfully.
    """
    if (target / "citadel.json").is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="converting-", dir=target.parent))
    command = [sys.executable, "-m", "rag.search.convert", str(model_dir), str(scratch)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ModelError(
                f"cannot convert the model in {model_dir} for OpenVINO: {reason}",
                hint="Set CITADEL_EMBED_BACKEND=torch.",
            )
        if not (target / "citadel.json").is_file():
            shutil.rmtree(target, ignore_errors=True)  # someone took parts of it away
        with contextlib.suppress(OSError):  # another process was faster
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _convert_into(scratch: Path, model_dir: Path) -> None:
    from rag.search.embed import load_sentence_transformer
    from rag.search.silent import openvino  # before anything below imports a part of it

    model = load_sentence_transformer(model_dir)
    openvino.save_model(_trace(model), scratch / "model.xml", compress_to_fp16=False)
    config = {"dim": model.get_embedding_dimension(), "max_tokens": int(model.max_seq_length)}
    (scratch / "citadel.json").write_text(json.dumps(config))
    _compare(scratch, model_dir, model)
    shutil.rmtree(scratch / "cache", ignore_errors=True)  # known by this path, of no use elsewhere


def _trace(model: Any) -> Any:
    """The whole model, pooling and normalisation included, as an OpenVINO graph."""
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    from rag.search.silent import openvino

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            vectors = self.model(features)["sentence_embedding"]
            return torch.nn.functional.normalize(vectors, dim=-1)

    ids = torch.randint(1000, 2000, (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    example = {"input_ids": ids, "attention_mask": mask}
    with torch.no_grad():
        decoder = TorchScriptPythonDecoder(Whole().eval(), example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        converted = frontend.convert(frontend.load(decoder))
    for parameter in converted.inputs:
        parameter.get_node().set_partial_shape(openvino.PartialShape([-1, -1]))
        parameter.get_node().set_element_type(openvino.Type.i64)
    converted.validate_nodes_and_infer_types()
    return converted


def _compare(scratch: Path, model_dir: Path, model: Any) -> None:
    from rag.search.embed import OpenVinoEmbedder

    ours = OpenVinoEmbedder(scratch, model_dir, "probe").encode(PROBES)
    theirs = model.encode(list(PROBES), normalize_embeddings=True, show_progress_bar=False)
    worst = float((ours * np.asarray(theirs)).sum(axis=1).min())
    if worst < MIN_COSINE:
        sys.exit(f"the converted model differs from the original, worst cosine {worst:.4f}")


if __name__ == "__main__":
    _convert_into(Path(sys.argv[2]), Path(sys.argv[1]))
