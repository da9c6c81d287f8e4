"""Looks at a machine and says what the appliance lacks, with the command that installs it.

Nothing is changed, except that a database that does not exist yet is created and a model that was
never used is converted: whether they work can't be known otherwise.
"""

import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

from rag.errors import CitadelError
from rag.settings import GIB, Settings

PACKAGES = ("faiss-cpu", "openvino", "pypdfium2", "sqlalchemy", "tantivy", "torch", "streamlit")
LIBREOFFICE = "libreoffice-writer-nogui libreoffice-impress-nogui"
MIN_FREE_BYTES = 2 * GIB
OCR_LANGUAGES = {"eng": "tesseract-ocr-eng", "deu": "tesseract-ocr-deu", "spa": "tesseract-ocr-spa"}


class Check(NamedTuple):
    """One thing looked at. Without what is `required` nothing works; the rest reads some files."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    required: bool = True


def diagnose(settings: Settings) -> list[Check]:
    """Look at everything; takes some seconds, as it loads the model."""
    return [
        _python(),
        *map(_package, PACKAGES),
        _data_dir(settings),
        _free_space(settings),
        _database(settings),
        _model(settings),
        _sandbox(),
        *_ocr(),
        _program("LibreOffice", "soffice", "old Office files (DOC, PPT)", LIBREOFFICE),
        _pandoc(),
    ]


def format_checks(checks: list[Check]) -> str:
    """One line for each check, with what to do below it where something is missing."""
    lines = []
    for check in checks:
        mark = "ok  " if check.ok else ("FAIL" if check.required else "warn")
        lines.append(f"{mark}  {check.name}: {check.detail}")
        if check.hint and not check.ok:
            lines.append(f"      → {check.hint}")
    n_failed = sum(not check.ok and check.required for check in checks)
    n_warned = sum(not check.ok and not check.required for check in checks)
    lines.append(f"\n{_count(n_failed, 'problem')}, {_count(n_warned, 'warning')}")
    return "\n".join(lines)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    hint = "Install Python 3.11 or newer: apt-get install python3"
    return Check("Python", sys.version_info >= (3, 11), version, hint)


def _package(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", "Install the locked packages: make venv")


def _data_dir(settings: Settings) -> Check:
    folder = settings.data_dir
    hint = f"Run as its owner, or: chmod 700 {folder}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        return Check("data directory", False, f"{folder}: {error.strerror}", hint)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Check("data directory", False, f"{folder} cannot be written", hint)
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        detail = f"{folder} is open to other users of this machine"
        return Check("data directory", False, detail, f"chmod 700 {folder}", required=False)
    return Check("data directory", True, str(folder))


def _free_space(settings: Settings) -> Check:
    folder = next(p for p in (settings.data_dir, *settings.data_dir.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    hint = "Free space, or move the data directory with CITADEL_DATA_DIR."
    detail = f"{free / GIB:,.1f} GiB free"
    return Check("disk", free >= MIN_FREE_BYTES, detail, hint, required=False)


def _database(settings: Settings) -> Check:
    from rag.store import Store

    try:
        with Store.open(settings.url, data_dir=settings.data_dir) as store:
            stats = store.stats()
    except CitadelError as error:
        return Check("database", False, error.message, error.hint)
    return Check("database", True, f"{stats.documents:,} documents, {stats.chunks:,} chunks")


def _model(settings: Settings) -> Check:
    from rag.search.chosen import load_of_site

    try:
        embedder = load_of_site(settings)
        shape = embedder.encode(["a probe"]).shape  # (1, dim)
    except CitadelError as error:
        return Check("embedding model", False, error.message, error.hint)
    kind = " ".join([type(embedder).__name__, getattr(embedder, "kind", "")]).strip()
    return Check("embedding model", True, f"{embedder.model_id[:12]}…, {shape[1]} wide, {kind}")


def _sandbox() -> Check:
    from rag.sandbox import missing

    lacks = missing()
    hint = "Run on a kernel with seccomp; in a container, allow seccomp and no_new_privs."
    return Check("sandbox for parsers", not lacks, "; ".join(lacks) or "in force", hint, False)


def _program(name: str, command: str, reads: str, packages: str) -> Check:
    found = shutil.which(command)
    detail = found or f"not installed; it reads {reads}"
    return Check(name, found is not None, detail, f"apt-get install {packages}", required=False)


def _ocr() -> Iterator[Check]:
    program = _program("tesseract", "tesseract", "scans and images", "tesseract-ocr")
    yield program
    if not program.ok:
        return
    run = subprocess.run(
        ["tesseract", "--list-langs"], capture_output=True, text=True, timeout=30, check=False
    )
    installed = set(run.stdout.split("\n")[1:]) - {"", "osd"}
    lacking = [package for code, package in OCR_LANGUAGES.items() if code not in installed]
    detail = ", ".join(sorted(installed)) or "none"
    hint = f"apt-get install {' '.join(lacking)}"
    yield Check("OCR languages", not lacking, detail, hint, required=False)


def _pandoc() -> Check:
    import pypandoc

    hint = "Install the locked packages: make venv"
    try:
        return Check("pandoc", True, pypandoc.get_pandoc_version(), required=False)
    except OSError:
        reads = "not found; it reads RTF, ODT, EPUB and RST"
        return Check("pandoc", False, reads, hint, required=False)
