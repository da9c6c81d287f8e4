"""Parser processes and the threads that drive them: a job in, a future of `Parsed` out.

A process that hangs, grows or dies takes its whole process group with it and is replaced; the next
job never notices. What comes back is data, checked on arrival: a process that a hostile file has
taken over can at worst return a wrong text for that file.
"""

import contextlib
import os
import queue
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import BinaryIO, Protocol, Self

import msgspec
import psutil

from ingest.parse.model import Failure, Job, Parsed
from ingest.parse.worker import FRAME, PARSED
from rag.closing import Closing
from rag.errors import ParseError

MAX_ANSWER_BYTES = 192 * 1024**2
FILES_PER_PROCESS = 200  # libraries leak; a new process costs about 0.2 s
MAX_RESIDENT_BYTES = 300 * 1024**2  # what a process may keep between files
TEMPORARY = "citadel-parse-"  # then the id of the process that made the folder
_EXIT_TIMEOUT_S = 2.0
_READ_BYTES = 1024**2

_WORKER = (sys.executable, "-P", "-m", "ingest.parse.worker")
_WORD_BYTES = 24  # six float32, see `model.Element.words`


class Parsers(Protocol):
    """Where files are parsed, as the pipeline sees it: here, or by `ray_pool` on other machines."""

    def submit(self, job: Job) -> Future[Parsed]:
        """Queue a file. The future raises `ParseError`; how many are queued is for the caller."""

    def close(self) -> None:
        """Cancel what waits, end what runs, and wait until it is gone."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class ParserPool(Closing):
    """`workers` parser processes, each started when it is first needed.

    `timeout_s` is for one file, start of the process included; `memory_bytes` bounds the address
    space of one process. Leaving the `with` block cancels what has not begun, kills what runs and
    leaves no process and no temporary file behind.
    """

    def __init__(self, workers: int, *, timeout_s: float, memory_bytes: int) -> None:
        _clear_leftovers()
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Parsed]] | None] = queue.SimpleQueue()
        self._drivers = [
            _Driver(self._jobs, timeout_s=timeout_s, memory_bytes=memory_bytes)
            for _ in range(workers)
        ]
        self._closed = False

    def submit(self, job: Job) -> Future[Parsed]:
        """Queue a file. The future raises `ParseError`; how many are queued is for the caller."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        future: Future[Parsed] = Future()
        self._jobs.put((job, future))
        for driver in self._drivers:
            if driver.ident is None:  # lazily, one more thread with each of the first jobs
                driver.start()
                break
        return future

    def close(self) -> None:
        """Cancel what waits, kill what runs, and wait until it is gone."""
        self._closed = True
        for driver in self._drivers:
            driver.stop()
        with contextlib.suppress(queue.Empty):
            while True:
                entry = self._jobs.get_nowait()
                if entry is not None:
                    entry[1].cancel()
        for _ in self._drivers:
            self._jobs.put(None)
        for driver in self._drivers:
            if driver.ident is not None:
                driver.join()


class _Driver(threading.Thread):
    """Takes jobs from the queue to one process after another.

    It is the thread that starts the processes, and the kernel kills them when it ends.
    """

    def __init__(
        self,
        jobs: queue.SimpleQueue[tuple[Job, Future[Parsed]] | None],
        *,
        timeout_s: float,
        memory_bytes: int,
    ) -> None:
        super().__init__(name="parser", daemon=True)
        self._jobs = jobs
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._stopping = threading.Event()
        self._process: _Process | None = None

    def stop(self) -> None:
        """End the running job at once; called from another thread."""
        self._stopping.set()
        process = self._process
        if process is not None:
            process.kill_group()

    def run(self) -> None:
        try:
            while (entry := self._jobs.get()) is not None:
                job, future = entry
                if self._stopping.is_set():
                    future.cancel()
                elif future.set_running_or_notify_cancel():
                    self._settle(job, future)
        finally:
            self._retire()

    def _settle(self, job: Job, future: Future[Parsed]) -> None:
        try:
            future.set_result(self._parse(job))
        except Exception as error:  # noqa: BLE001  the border: the future carries it on
            future.set_exception(error)

    def _parse(self, job: Job) -> Parsed:
        deadline = time.monotonic() + self._timeout_s
        if self._process is not None and self._process.ended() is not None:
            self._retire()
        if self._process is None:
            self._process = _Process(self._memory_bytes)
        if self._stopping.is_set():  # `stop` may have run before there was a process to kill
            self._process.kill_group()
        try:
            parsed = self._process.parse(job, deadline)
        except ParseError as error:
            if self._stopping.is_set():
                raise _stopped() from error
            if error.code in _FATAL:
                self._retire()
            raise
        if self._process.is_worn():
            self._retire()
        return parsed

    def _retire(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()


class _Process:
    """One worker process with its private temporary folder."""

    def __init__(self, memory_bytes: int) -> None:
        self._temp_dir = tempfile.mkdtemp(prefix=f"{TEMPORARY}{os.getpid()}-")
        self._files = 0
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [*_WORKER, str(memory_bytes), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._temp_dir,
            env=_environment(self._temp_dir),
            start_new_session=True,
        )

    def parse(self, job: Job, deadline: float) -> Parsed:
        """Send a job and wait for its answer until `deadline` (monotonic).

        Raises:
            ParseError: the worker's own, or `timeout`, `memory`, `crashed`, `too_large`.
        """
        self._files += 1
        body = msgspec.msgpack.encode(job)
        try:
            self._stdin.write(FRAME.pack(b"J", len(body)) + body)
            self._stdin.flush()
        except BrokenPipeError:
            raise self._death() from None
        kind, length = FRAME.unpack(self._receive(FRAME.size, deadline))
        if length > MAX_ANSWER_BYTES:
            raise ParseError(
                "too_large",
                f"its text and attachments come to {length // 1024**2} MiB, which is too much for "
                "one document",
                hint="Split the file.",
            )
        return checked(kind, self._receive(length, deadline))

    def is_worn(self) -> bool:
        """Whether a fresh process should take over: after many files, or one that left it big."""
        if self._files >= FILES_PER_PROCESS:
            return True
        try:
            return bool(psutil.Process(self._process.pid).memory_info().rss > MAX_RESIDENT_BYTES)
        except psutil.NoSuchProcess:
            return True

    def kill_group(self) -> None:
        """Kill the process and every program it has started; from any thread."""
        with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.returncode is None:  # once it is reaped, its id may be another's
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process, its programs and its temporary files."""
        self.kill_group()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()
        with self._lock:
            self._process.wait()
        shutil.rmtree(self._temp_dir, ignore_errors=True)

    @property
    def _stdin(self) -> BinaryIO:
        assert self._process.stdin is not None
        return self._process.stdin  # type: ignore[return-value]

    @property
    def _stdout(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    def _receive(self, length: int, deadline: float) -> bytes:
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            while len(data) < length:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise _timeout()
                part = os.read(self._stdout.fileno(), min(length - len(data), _READ_BYTES))
                if not part:
                    raise self._death()
                data += part
        return bytes(data)

    def ended(self) -> tuple[int, int] | None:
        """How and with what status the process ended, None while it runs.

        It is not reaped, as its id stands for the group that may have to be killed.
        """
        try:
            found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:  # somebody else in this process reaped it
            return os.CLD_EXITED, 0
        return None if found is None else (found.si_code, found.si_status)

    def _death(self) -> ParseError:
        """Why the process closed its stream."""
        deadline = time.monotonic() + _EXIT_TIMEOUT_S
        while (end := self.ended()) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        how, status = end or (os.CLD_EXITED, 0)
        if how == os.CLD_EXITED:
            return _crash(f"the parser ended without an answer (exit code {status})")
        if status == signal.SIGKILL:
            return ParseError(
                "memory",
                "the system killed the parser, most likely for lack of memory",
                hint="Free memory or lower CITADEL_INGEST_WORKERS, then ingest again.",
                retry=True,
            )
        return _crash(f"the parser was ended by signal {signal.Signals(status).name}")


def _clear_leftovers() -> None:
    """Delete the temporary folders of runs that were killed: they hold parts of documents."""
    for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*-*"):
        pid = folder.name.removeprefix(TEMPORARY).split("-")[0]
        with contextlib.suppress(OSError):
            if (
                pid.isdigit()
                and not psutil.pid_exists(int(pid))
                and folder.lstat().st_uid == os.getuid()
            ):
                shutil.rmtree(folder, ignore_errors=True)


_FATAL = frozenset({"timeout", "memory", "crashed", "too_large"})


def checked(kind: bytes, body: bytes) -> Parsed:
    """A worker's answer.

    Raises:
        ParseError: the worker's own, or `crashed` where nobody can make sense of it.
    """
    try:
        if kind != PARSED:
            failure = msgspec.msgpack.decode(body, type=Failure)
            raise ParseError(failure.code, failure.message, hint=failure.hint, retry=failure.retry)
        parsed = msgspec.msgpack.decode(body, type=Parsed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _crash("the parser's answer cannot be understood") from None
    if any(len(element.words) % _WORD_BYTES for element in parsed.elements):
        raise _crash("the parser's answer cannot be understood")
    return parsed


def _environment(temp_dir: str) -> dict[str, str]:
    """Nothing of the parent's environment but the search path: it may hold secrets."""
    return {
        "HOME": temp_dir,
        "LANG": "C.UTF-8",
        "OMP_THREAD_LIMIT": "1",  # tesseract: one core a worker
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": temp_dir,
        **({"TESSDATA_PREFIX": prefix} if (prefix := os.environ.get("TESSDATA_PREFIX")) else {}),
    }


def _crash(message: str) -> ParseError:
    return ParseError(
        "crashed",
        message,
        hint="The file is probably damaged: open it in its application and save it anew, or "
        "export it as PDF.",
    )


def _stopped() -> ParseError:
    return ParseError(
        "stopped", "the run ended before it was read", hint="Ingest again.", retry=True
    )


def _timeout() -> ParseError:
    return ParseError(
        "timeout",
        "reading it took longer than a file may take",
        hint="Split the file, or raise CITADEL_PARSE_TIMEOUT_S.",
        retry=True,
    )
