"""The pool of parser processes: what a bad file may cost, and what it may not."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import psutil
import pytest

from ingest.parse import pool as pool_module
from ingest.parse.model import Job
from ingest.parse.pool import ParserPool
from rag.errors import ParseError

GIB = 1024**3
ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def pool() -> Iterator[ParserPool]:
    with ParserPool(1, timeout_s=60, memory_bytes=GIB) as one:
        yield one


def job(folder: Path, name: str, content: str) -> Job:
    path = folder / name
    path.write_text(content)
    return Job(str(path), name)


def a_slow_job(folder: Path) -> Job:
    """A text that takes seconds: each line has to be looked at."""
    return job(folder, "slow.txt", "1.1 word word word word\n\n" * 1_500_000)


def wait_for(condition: Callable[[], Any]) -> Any:
    for _ in range(1000):
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come about")


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended; who adopted it may not have taken notice yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def workers() -> list[psutil.Process]:
    """This process's parsers; other tests have children of their own."""
    return [child for child in psutil.Process().children() if _parses(child)]


def _parses(process: psutil.Process) -> bool:
    try:
        return "ingest.parse.worker" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def the_busy_worker() -> psutil.Process:
    def find() -> psutil.Process | None:
        return next((p for p in workers() if p.cpu_times().user > 0.4), None)

    return wait_for(find)


def failure_of(future) -> ParseError:
    with pytest.raises(ParseError) as caught:
        future.result(timeout=60)
    assert caught.value.hint
    return caught.value


def test_files_are_parsed_and_no_process_starts_before_the_first(tmp_path, pool):
    assert workers() == []
    parsed = pool.submit(job(tmp_path, "a.txt", "One paragraph.\n\nAnother.")).result(timeout=60)
    assert [element.text for element in parsed.elements] == ["One paragraph.", "Another."]
    assert len(workers()) == 1


def test_many_files_go_through_few_processes(tmp_path):
    jobs = [job(tmp_path, f"{i}.txt", f"text {i}") for i in range(60)]
    with ParserPool(2, timeout_s=60, memory_bytes=GIB) as two:
        futures = [two.submit(one) for one in jobs]
        texts = [future.result(timeout=60).elements[0].text for future in futures]
        assert len(workers()) == 2
    assert texts == [f"text {i}" for i in range(60)]
    assert workers() == []


def test_file_that_takes_too_long_is_ended_and_the_next_one_read(tmp_path):
    with ParserPool(1, timeout_s=1.0, memory_bytes=GIB) as one:
        slow = one.submit(a_slow_job(tmp_path))
        quick = one.submit(job(tmp_path, "quick.txt", "quick"))
        error = failure_of(slow)
        assert (error.code, error.retry) == ("timeout", True)
        assert quick.result(timeout=60).elements[0].text == "quick"


def test_file_that_needs_too_much_memory_is_ended_and_the_next_one_read(tmp_path):
    with ParserPool(1, timeout_s=60, memory_bytes=256 * 1024**2) as one:
        big = one.submit(job(tmp_path, "big.txt", "word " * 30_000_000))
        error = failure_of(big)
        assert (error.code, error.retry) == ("memory", True)
        after = one.submit(job(tmp_path, "a.txt", "after"))
        assert after.result(timeout=60).elements[0].text == "after"


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGSEGV, "crashed", "SIGSEGV"), (signal.SIGKILL, "memory", "memory")],
)
def test_crash_is_named_and_the_next_file_read(tmp_path, pool, number, code, word):
    slow = pool.submit(a_slow_job(tmp_path))
    the_busy_worker().send_signal(number)
    error = failure_of(slow)
    assert error.code == code
    assert word in error.message
    after = pool.submit(job(tmp_path, "a.txt", "after"))
    assert after.result(timeout=60).elements[0].text == "after"


def test_worker_that_died_between_files_costs_none(tmp_path, pool):
    pool.submit(job(tmp_path, "a.txt", "a")).result(timeout=60)
    (worker,) = workers()
    worker.kill()
    worker.wait(10)
    after = pool.submit(job(tmp_path, "b.txt", "b"))
    assert after.result(timeout=60).elements[0].text == "b"


def test_a_parser_error_keeps_its_fields_across_the_border(tmp_path, pool):
    error = failure_of(pool.submit(job(tmp_path, "a.txt", "")))
    assert (error.code, error.retry) == ("empty", False)


def test_answer_that_is_too_large_is_refused(tmp_path, pool, monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_ANSWER_BYTES", 1000)
    error = failure_of(pool.submit(job(tmp_path, "a.txt", "word " * 1000)))
    assert error.code == "too_large"


def test_process_is_replaced_after_its_share_of_files(tmp_path, pool, monkeypatch):
    monkeypatch.setattr(pool_module, "FILES_PER_PROCESS", 2)
    seen = set()
    for number in range(3):
        pool.submit(job(tmp_path, f"{number}.txt", "text")).result(timeout=60)
        seen |= {worker.pid for worker in workers()}
    assert len(seen) == 2


def test_process_that_stays_big_is_replaced(tmp_path, pool, monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_RESIDENT_BYTES", 1)
    pool.submit(job(tmp_path, "a.txt", "text")).result(timeout=60)
    wait_for(lambda: workers() == [])


def test_leaving_the_pool_ends_what_runs_and_what_waits(tmp_path):
    with ParserPool(1, timeout_s=60, memory_bytes=GIB) as one:
        running = one.submit(a_slow_job(tmp_path))
        waiting = one.submit(job(tmp_path, "a.txt", "text"))
        busy = the_busy_worker()
    assert not busy.is_running()
    assert failure_of(running).code == "stopped"
    with pytest.raises(CancelledError):
        waiting.result(timeout=10)


def test_no_temporary_folder_is_left(tmp_path, monkeypatch):
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with ParserPool(1, timeout_s=60, memory_bytes=GIB) as one:
        one.submit(job(tmp_path, "a.txt", "text")).result(timeout=60)
        assert len(list(folder.iterdir())) == 1
    assert list(folder.iterdir()) == []


def test_a_worker_sees_nothing_of_the_parents_environment(tmp_path, pool, monkeypatch):
    monkeypatch.setenv("CITADEL_TOKEN", "secret")
    pool.submit(job(tmp_path, "a.txt", "text")).result(timeout=60)
    assert "CITADEL_TOKEN" not in workers()[0].environ()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_run_however_it_ends(tmp_path, number):
    slow = a_slow_job(tmp_path)
    program = f"""
from ingest.parse.model import Job
from ingest.parse.pool import ParserPool
with ParserPool(2, timeout_s=60, memory_bytes=2**30) as pool:
    futures = [pool.submit(Job({slow.path!r}, "slow.txt")) for _ in range(2)]
    for future in futures:
        future.result()
"""
    run = subprocess.Popen(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ROOT, "PATH": os.environ["PATH"]},
        stderr=subprocess.DEVNULL,
    )
    parent = psutil.Process(run.pid)
    children = wait_for(lambda: len(parent.children()) == 2 and parent.children())
    run.send_signal(number)
    run.wait(30)
    wait_for(lambda: all(map(is_gone, children)))


def test_what_a_killed_run_has_left_is_deleted_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    left, used = (tmp_path / f"citadel-parse-{n}-x" for n in (ended.pid, os.getpid()))
    for folder in (left, used):
        folder.mkdir()
    with ParserPool(1, timeout_s=60, memory_bytes=2 * 1024**3):
        assert not left.exists()
        assert used.exists()
