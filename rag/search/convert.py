"""A sentence-transformers directory to OpenVINO, once per model, kind and data directory.

The converter is OpenVINO's PyTorch frontend called directly: the package's own `convert_model`
reports usage statistics, the frontend does not (importing the package does: see `silent`). The
result is compared with sentence-transformers, on texts that quantising has not seen, before it is
trusted. It lands by rename, so that a killed or a second conversion does no harm. A kind that was
compared and found too far from the original is remembered, and neither tried nor told again at
every start. It all runs in a process of its own: torch and NNCF would otherwise stay in the memory
of the ingest.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from rag.errors import ModelError
from rag.search.calibration import calibration_texts, probe_texts
from rag.search.folders import claim_folder, unclaimed
from rag.search.local_models import load_sentence_transformer
from rag.search.precision import F32, KINDS, Kind, close_enough, closeness, worst

PROBES = (
    "How long is the notice period?",
    "Either party may terminate this agreement with ninety days' written notice.",
    "Überstunden werden bis zum Ende des Quartals ausgeglichen. " * 12,
    "x",
)
SCRATCH = "converting"
INSTEAD = "CITADEL_EMBED_PRECISION=bf16 or f32"
N_PROBES = 64  # of further texts, for what is not exact


def convert(model_dir: Path, target: Path, kind: Kind) -> Path:
    """Convert the model in `model_dir` into `target` unless it is there already.

    Raises:
        ModelError: the model cannot be converted faithfully in this kind, now or when it was tried.
    """
    if not (target / "citadel.json").is_file():
        _land(model_dir, target, kind)
    if refused := refusal(target):
        raise ModelError(
            f"the model in {model_dir} does not keep its vectors as {kind.name}: {refused}",
            hint=f"Nothing has to be done. To try again, delete {target}.",
        )
    return target


def _land(model_dir: Path, target: Path, kind: Kind) -> None:
    for folder in unclaimed(target.parent):
        if folder.name.startswith(SCRATCH):  # of a process that was killed
            shutil.rmtree(folder, ignore_errors=True)
    scratch, claim = claim_folder(target.parent, SCRATCH)
    module = [sys.executable, "-m", "rag.search.convert"]
    command = [*module, str(model_dir), str(scratch), kind.name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [_ended(done.returncode)])[-1]
            raise ModelError(
                f"cannot convert the model in {model_dir} for OpenVINO as {kind.name}: {reason}",
                hint=f"Set {INSTEAD if kind.quantised else 'CITADEL_EMBED_BACKEND=torch'}.",
            )
        if not (target / "citadel.json").is_file():
            shutil.rmtree(target, ignore_errors=True)  # someone took parts of it away
        with contextlib.suppress(OSError):  # another process was faster
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(claim)


def _ended(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else "no reason given"


def refusal(target: Path) -> str:
    """Why a kind that was tried before is not to be used; empty where it is, or was not tried."""
    try:
        return str(json.loads((target / "citadel.json").read_text()).get("refused", ""))
    except (OSError, ValueError, AttributeError):
        return ""  # damaged: whoever loads it says so


def _convert_into(scratch: Path, model_dir: Path, kind: Kind) -> None:
    if kind.quantised and importlib.util.find_spec("nncf") is None:
        sys.exit("NNCF is not installed")
    from rag.search.silent import openvino  # before anything below imports a part of it

    model = load_sentence_transformer(model_dir)
    max_tokens = int(model.max_seq_length)
    graph = _trace(model)
    if kind.quantised:
        from rag.search.quantise import quantise

        tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        tokenizer.enable_truncation(max_tokens)
        tokenizer.no_padding()
        graph = quantise(graph, tokenizer.encode_batch(calibration_texts()))
    openvino.save_model(graph, scratch / "model.xml", compress_to_fp16=False)
    config = {"kind": kind.name, "dim": model.get_embedding_dimension(), "max_tokens": max_tokens}
    (scratch / "citadel.json").write_text(json.dumps(config))
    _judge(scratch, model_dir, model, config, kind)
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


def _judge(scratch: Path, model_dir: Path, model: Any, config: dict[str, Any], kind: Kind) -> None:
    """Write down how close it is to the original, and that it is refused where that's not enough.

    float32 has to be exact to four digits and fails as an error: something is wrong with the model.
    """
    from rag.search.embed import OpenVinoEmbedder

    texts = [*PROBES, *probe_texts(N_PROBES)]
    embedder = OpenVinoEmbedder(scratch, model_dir, "probe")
    theirs = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    # In batches as of an ingest, and alone as a question is: OpenVINO has other kernels for each.
    alone = np.concatenate([embedder.encode([text]) for text in texts])
    found = worst(
        closeness(ours, np.asarray(theirs, np.float32)) for ours in (embedder.encode(texts), alone)
    )
    config |= found._asdict()
    if not close_enough(kind, found):
        reason = (
            f"cosine to the original {found.min_cosine:.4f} at worst and {found.mean_cosine:.4f}"
            f" in the mean, {found.nearest:.0%} of the nearest the same"
        )
        if kind == F32:
            sys.exit(f"the converted model differs from the original, {reason}")
        config["refused"] = reason
        for part in scratch.glob("model.*"):
            part.unlink()
    (scratch / "citadel.json").write_text(json.dumps(config))


if __name__ == "__main__":
    _convert_into(Path(sys.argv[2]), Path(sys.argv[1]), KINDS[sys.argv[3]])
