"""The session in docs/permissions.md, typed again: it prints what stands there.

It adds accounts and writes below /srv, in a namespace of its own, whose /etc and /srv are copies.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import REPOSITORY, environment, over_new_store

DOCUMENT = REPOSITORY / "docs" / "permissions.md"
BETWEEN = "<<< next >>>"
ALONE = """\
set -e
cp -a /etc "$PLACE/etc" && mount --bind "$PLACE/etc" /etc
mkdir "$PLACE/srv" && mount --bind "$PLACE/srv" /srv
set +e
umask 022
exec 9>&1
coproc KEEPER { "$PYTHON" -c "$FORKING"; }
citadel() {
    printf '%q ' "$PWD" "$@" >&"${KEEPER[1]}" && echo >&"${KEEPER[1]}"
    read -r code <&"${KEEPER[0]}"
    return "$code"
}
"""
# Each command is a process of its own, forked from one that has imported everything: eleven starts
# of Python would take most of the time.
FORKING = """\
import os, shlex, sys
import ingest.pipeline, ingest.sync, rag.appliance, rag.cli.commands, rag.cli.show
from rag.cli import main
for line in sys.stdin:
    if not (child := os.fork()):
        folder, *sys.argv[1:] = shlex.split(line)
        os.chdir(folder)
        os.dup2(9, 1)
        main()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def session() -> list[tuple[str, str]]:
    """The commands of the document, each with what it prints."""
    blocks = re.findall(r"```console\n(.*?)```", DOCUMENT.read_text(), re.S)
    typed = [each for block in blocks for each in re.split(r"^\$ ", block, flags=re.M) if each]
    return [(command, printed) for command, _, printed in (t.partition("\n") for t in typed)]


def type_again(commands: Sequence[str], place: Path, data_dir: Path) -> list[str]:
    """What the commands print on stdout, one after the other in one shell."""
    lines = [f"{command}\necho {shlex.quote(BETWEEN)}" for command in commands]
    settings = environment(CITADEL_DATA_DIR=str(data_dir), PLACE=str(place))
    settings |= {"PYTHON": sys.executable, "FORKING": FORKING}
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", ALONE + "\n".join(lines)],
        **{"env": settings, "capture_output": True, "text": True, "timeout": 100},
        check=True,
    )
    *printed, rest = done.stdout.split(f"{BETWEEN}\n")
    assert not rest and "Traceback" not in done.stderr
    return printed


def timeless(printed: str) -> str:
    return re.sub(r" in [\d.]+ s$", " in 0.1 s", printed, flags=re.M)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder for what the namespace has of its own; skipped where there can be none."""
    if os.getuid() != 0:
        pytest.skip("only root adds accounts and gives files to groups")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace can be made here")
    return tmp_path


def test_the_session_in_the_document_prints_what_stands_there(
    place: Path, tmp_path: Path, model_home: Path
) -> None:
    written = session()
    data_dir = over_new_store(tmp_path, model_home).data_dir
    printed = type_again([command for command, _ in written], place, data_dir)
    for (command, expected), found in zip(written, printed, strict=True):
        assert (command, timeless(found)) == (command, expected)
