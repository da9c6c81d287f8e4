"""Logistic regression and the area under a ROC curve, in a few lines of numpy."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RIDGE = 1e-2  # against weights that run away where classes part cleanly
STEPS = 50


def area(positive: Array, negative: Array) -> float:
    """Chance that a positive's score is above a negative's; ties count half."""
    both = np.concatenate([positive, negative])
    _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # mean rank of ties, from 1
    n, m = len(positive), len(negative)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def fit(x: Array, y: Array, weights: Array) -> Array:
    """Newton's method; `x` is (n, features), returns intercept and weights (1 + features,)."""
    design = np.column_stack([np.ones(len(x)), x])
    weights = weights / weights.sum() * len(x)
    ridge = RIDGE * np.eye(design.shape[1])
    ridge[0, 0] = 0.0
    beta = np.zeros(design.shape[1])
    for _ in range(STEPS):
        p = predict(x, beta)
        gradient = design.T @ (weights * (y - p)) - ridge @ beta
        curvature = (design * (weights * p * (1 - p))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, gradient)
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    return beta


def predict(x: Array, beta: Array) -> Array:
    """Probabilities, (n,)."""
    value = np.clip(beta[0] + x @ beta[1:], -30, 30)
    return np.asarray(1 / (1 + np.exp(-value)))
