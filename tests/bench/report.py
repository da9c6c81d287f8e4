"""Markdown out: tables, the machine, and figures to a sensible number of digits."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile")
VERSIONS = (
    "openvino",
    "torch",
    "sentence-transformers",
    "faiss-cpu",
    "tantivy",
    "pypdfium2",
    "streamlit",
)

Cell = str | int | float | None


def print_heading(name: str, what: str, *, quick: bool) -> None:
    """The section's title, the machine and the versions."""
    size = " (quick: a small slice; not for publication)" if quick else ""
    print(f"## {name}{size}\n\n{what}\n\n{format_machine()}\n", flush=True)


def print_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """A Markdown table, then a blank line."""
    print(f"{format_table(header, rows)}\n", flush=True)


def print_line(text: str) -> None:
    """A paragraph."""
    print(f"{text}\n", flush=True)


def format_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    lines += [[_cell(value) for value in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_machine() -> str:
    """Cores, what the processor can do, how busy it was, and the versions that matter."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split("\t", 1) for line in cpu.splitlines() if "\t" in line)
    model = lines.get("model name", "").strip(": ") or platform.processor()
    known = set(lines.get("flags", "").split())
    has = ", ".join(flag for flag in FLAGS if flag in known)
    lacks = ", ".join(flag for flag in FLAGS if flag not in known)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    return (
        f"Machine: {len(os.sched_getaffinity(0))} cores of {model} (has {has or 'none'}; "
        f"lacks {lacks or 'none'}), load {os.getloadavg()[0]:.1f} at the start, "
        f"{time.strftime('%Y-%m-%d')}. Python {platform.python_version()}, {versions}."
    )


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """p50, p95 and p99."""
    p50, p95, p99 = np.percentile(np.asarray(values), [50, 95, 99])
    return float(p50), float(p95), float(p99)


def _cell(value: Cell) -> str:
    match value:
        case None:
            return "–"
        case str():
            return value.replace("|", "\\|")
        case int():
            return f"{value:,}"
        case _:
            return f"{value:.3f}" if abs(value) < 2 else f"{value:,.1f}"
