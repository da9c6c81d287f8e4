"""In which arithmetic the converted model runs, and how close to the original it has to stay.

A kind is a graph (float32 weights, or weights and activations quantised to eight bits) with the
arithmetic of what is not quantised. All kinds of a model give vectors of one space: they differ by
less than questions are apart from each other, so vectors of one are searched with another's.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from rag.types import Vectors

Precision = Literal["auto", "int8", "bf16", "f32"]

BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
INT8_FLAGS = {"avx512_vnni", "avx_vnni"}
# Where OpenVINO (2026.4) computes eight bits by tiles, some shapes of input come out wrong, or end
# the process: openvinotoolkit/openvino#37577. bfloat16 by tiles is right, and as fast.
UNSOUND_INT8 = "amx_int8"
NEAREST = 10  # probes beside each probe whose order is compared


class Kind(NamedTuple):
    """A way to run the model. Its name is part of the folder that it is kept in."""

    name: str
    quantised: bool
    hint: str  # OpenVINO's INFERENCE_PRECISION_HINT
    min_cosine: float  # to the original, of the worst probe
    mean_cosine: float  # of all probes
    min_nearest: float  # share of the nearest probes that are the original's


class Closeness(NamedTuple):
    """How far a conversion is from the original, over the probes."""

    min_cosine: float
    mean_cosine: float
    nearest: float


F32 = Kind("f32", False, "f32", 0.9999, 0.9999, 0.99)
BF16 = Kind("bf16", False, "bf16", 0.998, 0.999, 0.95)
INT8_F32 = Kind("int8-f32", True, "f32", 0.97, 0.99, 0.93)
INT8_BF16 = Kind("int8-bf16", True, "bf16", 0.97, 0.99, 0.93)
KINDS = {kind.name: kind for kind in (INT8_BF16, INT8_F32, BF16, F32)}


def kinds(precision: Precision, flags: Iterable[str]) -> list[Kind]:
    """What to try on a processor with these flags, the fastest first and always float32 last.

    A given precision is where the trying begins, also on a processor without instructions for it,
    but for eight bits where they are unsound.
    """
    has = set(flags)
    bf16 = precision != "f32" and bool(has & BF16_FLAGS)
    found = [F32]
    if bf16 or precision == "bf16":
        found.insert(0, BF16)
    int8 = precision == "int8" or (precision == "auto" and bool(has & INT8_FLAGS))
    if int8 and UNSOUND_INT8 not in has:
        found.insert(0, INT8_BF16 if bf16 else INT8_F32)
    return found


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """What the processor says that it can do; nothing where the system doesn't tell."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split()[2:])


def closeness(ours: Vectors, originals: Vectors) -> Closeness:
    """Compare unit vectors of the same texts, both of shape (n, dim)."""
    cosines = (ours * originals).sum(axis=1)
    k = min(NEAREST, len(ours) - 1)
    pairs = zip(_nearest(ours, k), _nearest(originals, k), strict=True)
    shared = sum(len(set(a) & set(b)) for a, b in pairs)
    return Closeness(float(cosines.min()), float(cosines.mean()), shared / (len(ours) * k))


def worst(found: Iterable[Closeness]) -> Closeness:
    """The lowest of each number; none where one is no number."""
    return Closeness(*np.min(list(found), axis=0).tolist())


def close_enough(kind: Kind, found: Closeness) -> bool:
    """Whether a conversion of this kind can be trusted. False for anything that is no number."""
    return (
        found.min_cosine >= kind.min_cosine
        and found.mean_cosine >= kind.mean_cosine
        and found.nearest >= kind.min_nearest
    )


def _nearest(vectors: Vectors, k: int) -> list[list[int]]:
    """The k nearest others of each."""
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    nearest: list[list[int]] = np.argsort(-scores, axis=1)[:, :k].tolist()
    return nearest
