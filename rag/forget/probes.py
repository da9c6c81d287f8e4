"""What to look for when something is to be gone: taken before it goes, and kept in memory only."""

import json
import secrets
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rag.errors import NotFound
from rag.store import Material, Store

_RANDOM = secrets.SystemRandom()
PROBES = 12  # of each sort and document
WORDS = 6  # of a text, in a row
LEAST_CHARS = 12
BLOB_BYTES = 64
LEAST_BYTES, LEAST_DISTINCT = 12, 8  # of an original; a row of zeros says nothing
OF_DOCUMENTS = ("documents.", "chunks.", "sources.")  # columns that may name anybody
WHOLE_BYTES = 64 * 1024**2  # of an original that is read for it


@dataclass(frozen=True, slots=True)
class Probes:
    """Pieces that nothing else has: of texts, of vectors and pages, of the files themselves."""

    texts: tuple[str, ...] = ()
    blobs: tuple[bytes, ...] = ()
    documents: tuple[int, ...] = ()
    chunks: tuple[int, ...] = ()
    sha256s: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of people; documents may name them

    @property
    def n(self) -> int:
        """How many pieces are looked for."""
        return len(self.texts) + len(self.blobs)

    def needles(self) -> tuple[bytes, ...]:
        """All of them as they may lie in a file."""
        written = {form for text in self.texts for form in _forms(text)}
        return (*sorted(written), *self.blobs)

    def in_cell(self, column: str, value: object) -> bool:
        """Whether a database's value has one, also compressed."""
        if isinstance(value, str):
            if any(form in value for text in self.texts for form in _escaped(text)):
                return True
            named = any(_names(value, name) for name in self.names)
            return named and not column.startswith(OF_DOCUMENTS)
        if isinstance(value, dict | list):  # PostgreSQL's driver reads JSON
            return self.in_cell(column, json.dumps(value, ensure_ascii=False))
        if isinstance(value, bytes | memoryview):
            return self._in_bytes(bytes(value))
        return False

    def _in_bytes(self, value: bytes) -> bool:
        if any(needle in value for needle in self.needles()):
            return True
        try:
            return any(needle in zlib.decompress(value) for needle in self.needles())
        except zlib.error:
            return False


def of_documents(store: Store, source_ids: Sequence[int]) -> Probes:
    """Probes of all that was made from these files."""
    material = store.erasure.material(source_ids)
    texts = [
        piece
        for text in material.texts
        for piece in _sample(store.erasure.unique(_pieces(text), material.documents))
    ]
    blobs = [*_blobs(material), *_of_originals(store, material)]
    return Probes(
        texts=tuple(dict.fromkeys(texts)),
        blobs=tuple(dict.fromkeys(blobs)),
        documents=material.documents,
        chunks=material.chunks,
        sha256s=material.sha256s,
    )


def of_user(store: Store, name: str) -> Probes:
    """Probes of what a user has written, and signs in with; and the name, where it stands alone.

    Raises:
        NotFound: there is no such user.
    """
    own = store.erasure.material_of_user(name)
    texts = [
        piece for text in own.texts for piece in _sample(store.erasure.unique(_pieces(text), ()))
    ]
    return Probes(texts=(*dict.fromkeys(texts), *own.secrets), names=(name,))


def _pieces(text: str) -> list[str]:
    """Some words in a row from one line, as they stand there; all lines are tried."""
    found = []
    for line in text.splitlines():
        words = line.split(" ")
        for start in range(0, max(1, len(words) - WORDS + 1), WORDS):
            piece = " ".join(words[start : start + WORDS]).strip()
            if len(piece) >= LEAST_CHARS:
                found.append(piece[:200])
    _RANDOM.shuffle(found)
    return found[: 4 * PROBES]


def _sample(pieces: Iterable[str]) -> list[str]:
    return sorted(pieces, key=len, reverse=True)[:PROBES]


@lru_cache(maxsize=1024)
def _escaped(text: str) -> set[str]:
    """A text as it stands, as JSON writes it, and as JSON writes that in turn."""
    forms = {text}
    for _ in range(2):
        forms |= {
            json.dumps(form, ensure_ascii=ascii_only)[1:-1]
            for form in forms
            for ascii_only in (True, False)
        }
    return forms


def _names(value: str, name: str) -> bool:
    """Whether a value is a user's name, or has it as a string of JSON, or of JSON in JSON."""
    return any(
        value == who or any(form in value for form in _escaped(f'"{who}"'))
        for who in (name, f"user:{name}")
    )


def _forms(text: str) -> set[bytes]:
    """A text in a file: as UTF-8, as JSON writes it, as UTF-16."""
    return {text.encode(), json.dumps(text)[1:-1].encode(), text.encode("utf-16-le")}


def _blobs(material: Material) -> list[bytes]:
    vectors = _RANDOM.sample(material.vectors, min(PROBES, len(material.vectors)))
    pages = _RANDOM.sample(material.pages, min(PROBES, len(material.pages)))
    packed = [page[:BLOB_BYTES] for page in pages if len(page) >= BLOB_BYTES]
    words = [zlib.decompress(page)[:BLOB_BYTES] for page in pages]
    laid_out = [word for word in words if len(word) == BLOB_BYTES]
    return [*(vector[:BLOB_BYTES] for vector in vectors), *packed, *laid_out]


def _of_originals(store: Store, material: Material) -> list[bytes]:
    found: list[bytes] = []
    for sha256 in material.sha256s:
        try:
            path = store.originals.path(sha256)
        except NotFound:
            continue
        found += _windows(path)
    return found


def _windows(path: Path) -> list[bytes]:
    """Some pieces of a file that aren't nearly empty."""
    with path.open("rb") as file:
        data = file.read(WHOLE_BYTES)
    last = max(1, len(data) - BLOB_BYTES + 1)
    places = {0, *_RANDOM.sample(range(last), min(last, 4 * PROBES))}
    pieces = {data[at : at + BLOB_BYTES] for at in places}
    telling = [p for p in pieces if len(p) >= LEAST_BYTES and len(set(p)) >= LEAST_DISTINCT]
    return sorted(telling, key=lambda piece: len(set(piece)), reverse=True)[:PROBES]
