"""Model files that anybody may have spoilt: what is wrong is told, and on which directory."""

import shutil
from pathlib import Path

import pytest
from other_models import BUNDLED

from rag.errors import ModelError
from rag.search.local_models import load_sentence_transformer

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", POINTER),
        ("model.safetensors", b"\x08"),
        ("1_Pooling/config.json", None),
    ],
)
def test_spoilt_files_are_told_with_their_directory(
    file: str, content: bytes | None, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(BUNDLED, tmp_path / "given"))
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=f"cannot load the embedding model in {folder}") as caught:
        load_sentence_transformer(folder)
    assert "complete" in caught.value.hint
