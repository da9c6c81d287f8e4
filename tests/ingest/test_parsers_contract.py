"""What the pipeline asks of its parsers, of the pool on this machine and of Ray's alike."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from ingest.parse.model import Job, Parsed
from ingest.parse.pool import ParserPool, Parsers, checked
from ingest.parse.ray_pool import RayPool, Reader
from rag.errors import ConfigError, ParseError

GIB = 1024**3
ROOT = Path(__file__).parents[2]
Make = Callable[..., Parsers]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of this machine alone, which the pools of all tests here join."""
    first = RayPool("local", 2, timeout_s=60, memory_bytes=GIB)
    for reader in list(first._readers):
        first._ray.kill(reader)
    yield
    first.close()


@pytest.fixture(params=["own", pytest.param("ray", marks=pytest.mark.long)])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a pool of one worker."""
    if request.param == "ray":
        request.getfixturevalue("cluster")

    def made(timeout_s: float = 60) -> Parsers:
        if request.param == "own":
            return ParserPool(1, timeout_s=timeout_s, memory_bytes=GIB)
        return RayPool("local", 1, timeout_s=timeout_s, memory_bytes=GIB)

    return made


def job(folder: Path, name: str, content: str) -> Job:
    path = folder / name
    path.write_text(content)
    return Job(str(path), name)


def a_slow_job(folder: Path) -> Job:
    return job(folder, "slow.txt", "1.1 word word word word\n\n" * 1_500_000)


def failure_of(future: Future[Parsed]) -> ParseError:
    with pytest.raises(ParseError) as caught:
        future.result(timeout=60)
    assert caught.value.hint
    return caught.value


def parsers() -> list[psutil.Process]:
    """The processes below this one that parse, on whose behalf ever."""
    return [p for p in psutil.Process().children(recursive=True) if _parses(p)]


def _parses(process: psutil.Process) -> bool:
    try:
        return "ingest.parse.worker" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def wait_for(condition: Callable[[], Any]) -> Any:
    for _ in range(1000):
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def test_files_are_parsed(tmp_path: Path, make: Make) -> None:
    with make() as pool:
        futures = [pool.submit(job(tmp_path, f"{n}.txt", f"text {n}")) for n in range(5)]
        parsed = [future.result(timeout=60) for future in futures]
    assert [each.elements[0].text for each in parsed] == [f"text {n}" for n in range(5)]


def test_a_parsers_error_keeps_its_fields(tmp_path: Path, make: Make) -> None:
    with make() as pool:
        empty = failure_of(pool.submit(job(tmp_path, "a.txt", "")))
        assert (empty.code, empty.retry) == ("empty", False)
        gone = failure_of(pool.submit(Job(str(tmp_path / "gone.txt"), "gone.txt")))
        assert (gone.code, gone.retry) == ("unreadable", True)


def test_a_file_that_takes_too_long_is_ended_and_the_next_one_read(
    tmp_path: Path, make: Make
) -> None:
    with make(timeout_s=2.0) as pool:
        slow = pool.submit(a_slow_job(tmp_path))
        quick = pool.submit(job(tmp_path, "quick.txt", "quick"))
        error = failure_of(slow)
        assert (error.code, error.retry) == ("timeout", True)
        assert quick.result(timeout=60).elements[0].text == "quick"


def test_a_file_that_crashes_the_parser_is_named_and_the_next_one_read(
    tmp_path: Path, make: Make
) -> None:
    with make() as pool:
        slow = pool.submit(a_slow_job(tmp_path))
        wait_for(lambda: [p for p in parsers() if p.cpu_times().user > 0.3])[0].send_signal(11)
        error = failure_of(slow)
        assert error.code == "crashed"
        assert "SIGSEGV" in error.message
        after = pool.submit(job(tmp_path, "a.txt", "after"))
        assert after.result(timeout=60).elements[0].text == "after"


def test_closing_ends_what_runs_and_cancels_what_waits(tmp_path: Path, make: Make) -> None:
    with make() as pool:
        slow = pool.submit(a_slow_job(tmp_path))
        waiting = pool.submit(job(tmp_path, "a.txt", "a"))
        wait_for(lambda: [p for p in parsers() if p.cpu_times().user > 0.3])
    assert failure_of(slow).code == "stopped"
    with pytest.raises(CancelledError):
        waiting.result(timeout=60)
    assert wait_for(lambda: not parsers())
    with pytest.raises(RuntimeError):
        pool.submit(job(tmp_path, "b.txt", "b"))


@pytest.mark.long
def test_a_machine_of_rays_that_dies_costs_its_file_only(tmp_path: Path, cluster: None) -> None:
    with RayPool("local", 1, timeout_s=60, memory_bytes=GIB) as pool:
        slow = pool.submit(a_slow_job(tmp_path))
        (parser,) = wait_for(lambda: [p for p in parsers() if p.cpu_times().user > 0.3])
        actor = parser.parent()
        assert actor
        actor.kill()
        error = failure_of(slow)
        assert (error.code, error.retry) == ("stopped", True)
        after = pool.submit(job(tmp_path, "a.txt", "after"))
        assert after.result(timeout=60).elements[0].text == "after"


def test_a_file_that_the_other_machine_does_not_see_is_sent(tmp_path: Path) -> None:
    reader = Reader(60, GIB)
    encoded = msgspec.msgpack.encode(Job(str(tmp_path / "elsewhere" / "a.md"), "a.md"))
    assert reader.parse(encoded, 9, None) is None
    answer = reader.parse(encoded, 9, b"# Heading")
    assert answer
    parsed = checked(answer[:1], answer[1:])
    assert (parsed.media_type, parsed.elements[0].text) == ("text/markdown", "Heading")
    other = job(tmp_path, "a.md", "another file of that name")
    assert reader.parse(msgspec.msgpack.encode(other), 9, None) is None
    reader._pool.close()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError) as caught:
        RayPool("local", 1, timeout_s=60, memory_bytes=GIB)
    assert "citadel-rag[ray]" in caught.value.hint


NOWHERE = """
from ingest.parse.ray_pool import RayPool
from rag.errors import IngestError
try:
    RayPool("127.0.0.1:1", 1, timeout_s=60, memory_bytes=2**30)
except IngestError as error:
    print(error.message, error.hint)
"""


@pytest.mark.long
def test_a_cluster_that_is_not_there_is_named_as_such() -> None:
    """In a process of its own: this one is in a cluster."""
    done = subprocess.run(
        [sys.executable, "-c", NOWHERE], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert "no Ray cluster is found at 127.0.0.1:1" in done.stdout, done.stderr
    assert "CITADEL_RAY_ADDRESS" in done.stdout
