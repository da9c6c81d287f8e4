"""A float32 graph to eight bits, by NNCF; only the conversion's own process imports this.

Weights and activations of the matrix products become integers with fixed scales: those of the
weights from the weights, those of the activations from what the calibration texts make of them.
Attention itself, sums and norms stay as they are. NNCF reports its use by the package that
`silent` keeps from being imported; without that package it reports nothing.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Encoding


def quantise(graph: Any, encodings: Sequence[Encoding]) -> Any:
    """The graph with its matrix products in int8, calibrated on these texts, one at a time."""
    import rag.search.silent  # noqa: F401  before NNCF, which imports the package otherwise
    import nncf  # isort: skip

    logging.getLogger("nncf").setLevel(logging.ERROR)
    inputs = [_inputs(encoding) for encoding in encodings]
    return nncf.quantize(
        graph,
        nncf.Dataset(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(inputs),
    )


def _inputs(encoding: Encoding) -> list[Any]:
    return [np.array([encoding.ids]), np.array([encoding.attention_mask])]  # (1, n_tokens)
