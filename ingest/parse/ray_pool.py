"""Parsing on a Ray cluster: the same jobs in, the same futures out, on as many machines as it has.

Each of its actors keeps a `ParserPool` of one process on its machine, so that what holds for a
parser here holds there: a process of its own, without a network, within time and memory. A file
that the other machine does not see under the same path travels through Ray's object store. Answers
come back as MessagePack and are checked like a parser's own. Ray is imported when its address is
set.
"""

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from ingest.parse.formats import PARSER_VERSION
from ingest.parse.model import Failure, Job, Parsed
from ingest.parse.pool import ParserPool, checked
from ingest.parse.worker import FAILURE, PARSED
from rag.closing import Closing
from rag.errors import ConfigError, IngestError, ParseError

LOCAL = "local"
TEMPORARY = "citadel-ray-"
CONNECT_TIMEOUT_S = 5.0
START_TIMEOUT_S = 120.0
PATIENCE_S = 60.0  # beyond a file's own time, for its way there and back
LOCAL_STORE_BYTES = 256 * 1024**2
EXTRA = 'pip install "citadel-rag[ray]"'
HINT = "Check that Ray runs at CITADEL_RAY_ADDRESS with the same Citadel on each machine."


class Reader:
    """What runs on the other machine, in a process of Ray's."""

    def __init__(self, timeout_s: float, memory_bytes: int) -> None:
        self._pool = ParserPool(1, timeout_s=timeout_s, memory_bytes=memory_bytes)

    def version(self) -> str:
        """What its parsers are."""
        return str(PARSER_VERSION)

    def parse(self, job: bytes, size_bytes: int, content: bytes | None) -> bytes | None:
        """An encoded answer; None where the file is not to be seen here and its content is wanted.

        Parsed as it lies there if it has the size that it should have.
        """
        wanted = msgspec.msgpack.decode(job, type=Job)
        if content is None:
            path = Path(wanted.path)
            if not path.is_file() or path.stat().st_size != size_bytes:
                return None
            return self._answer(wanted)
        with tempfile.NamedTemporaryFile(prefix=TEMPORARY) as file:
            file.write(content)
            file.flush()
            return self._answer(msgspec.structs.replace(wanted, path=file.name))

    def _answer(self, job: Job) -> bytes:
        try:
            return PARSED + msgspec.msgpack.encode(self._pool.submit(job).result())
        except ParseError as error:
            failure = Failure(error.code, error.message, error.hint, error.retry)
            return FAILURE + msgspec.msgpack.encode(failure)


class RayPool(Closing):
    """`workers` readers on a cluster; as many as it has processors where that is None.

    Raises:
        ConfigError: Ray is not installed.
        IngestError: the cluster cannot be reached, has no room, or parses with another version.
    """

    def __init__(
        self, address: str, workers: int | None, *, timeout_s: float, memory_bytes: int
    ) -> None:
        self._ray = _ray()
        self._limits = (timeout_s, memory_bytes)
        self._folder = _connect(self._ray, address, workers)
        self._closed = threading.Event()
        self._idle: SimpleQueue[Any] = SimpleQueue()
        self._readers: list[Any] = []
        try:
            self.workers = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
            for _ in range(self.workers):
                self._add()
            self._check()
        except BaseException:
            self._leave()
            raise
        self._threads = ThreadPoolExecutor(self.workers, "ray-parser")

    def submit(self, job: Job) -> Future[Parsed]:
        """Queue a file. The future raises `ParseError`; how many are queued is for the caller."""
        if self._closed.is_set():
            raise RuntimeError("the pool is closed")
        return self._threads.submit(self._parse, job)

    def close(self) -> None:
        """Cancel what waits, end what runs, and wait until it is gone."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reader in self._readers:
            self._ray.kill(reader)
        self._threads.shutdown()
        self._leave()

    def _parse(self, job: Job) -> Parsed:
        reader = self._idle.get()
        try:
            answer = self._ask(reader, job)
        except self._ray.exceptions.RayError as error:
            self._replace(reader)
            raise _gone(stopped=self._closed.is_set()) from error
        except ParseError:
            self._idle.put(reader)
            raise
        self._idle.put(reader)
        return checked(answer[:1], answer[1:])

    def _ask(self, reader: Any, job: Job) -> bytes:
        path, encoded = Path(job.path), msgspec.msgpack.encode(job)
        try:
            size_bytes = path.stat().st_size
            answer = self._get(reader.parse.remote(encoded, size_bytes, None))
            if answer is None:
                content = self._ray.put(path.read_bytes())
                answer = self._get(reader.parse.remote(encoded, size_bytes, content))
        except OSError as error:
            raise _unreadable(error) from error
        return bytes(answer)

    def _get(self, reference: Any) -> Any:
        return self._ray.get(reference, timeout=self._limits[0] + PATIENCE_S)

    def _add(self) -> None:
        remote = self._ray.remote(num_cpus=1, max_restarts=0)(Reader)
        reader = remote.remote(*self._limits)
        self._readers.append(reader)
        self._idle.put(reader)

    def _replace(self, reader: Any) -> None:
        self._ray.kill(reader)
        if not self._closed.is_set():
            self._readers.remove(reader)
            self._add()

    def _check(self) -> None:
        asked = [reader.version.remote() for reader in self._readers]
        try:
            versions = set(self._ray.get(asked, timeout=START_TIMEOUT_S))
        except self._ray.exceptions.RayError as error:
            raise IngestError(
                f"the Ray cluster does not start {self.workers} parsers", hint=HINT
            ) from error
        if versions != {str(PARSER_VERSION)}:
            raise IngestError("the Ray cluster parses with another version", hint=HINT)

    def _leave(self) -> None:
        if self._folder is not None:
            self._ray.shutdown()
            shutil.rmtree(self._folder, ignore_errors=True)


def _ray() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would tell its maker of each cluster
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", f"{START_TIMEOUT_S:.0f}")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ConfigError(
            f"CITADEL_RAY_ADDRESS is set, and {error.name} is not installed", hint=EXTRA
        ) from error
    return ray


def _connect(ray: Any, address: str, workers: int | None) -> str | None:
    """Join the cluster; the folder of one of our own, None where this process is in one already."""
    if ray.is_initialized():
        return None
    given: dict[str, Any] = {"address": address}
    folder = ""
    if address == LOCAL:
        folder = tempfile.mkdtemp(prefix=TEMPORARY)
        given |= {"num_cpus": workers, "object_store_memory": LOCAL_STORE_BYTES}
        given |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "_temp_dir": folder}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _knock(address)
        ray.init(**given, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises plain ones, too
        shutil.rmtree(folder, ignore_errors=True)
        missing = f"is found at {address}" if address != LOCAL else "can be started here"
        raise IngestError(f"no Ray cluster {missing}", hint=HINT) from error
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)  # how a run ends is for whoever runs it
    return folder


def _knock(address: str) -> None:
    """Ray itself waits for minutes where nobody answers."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host:
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()


def _unreadable(error: OSError) -> ParseError:
    return ParseError(
        "unreadable",
        f"the file cannot be read: {error.strerror or error}",
        hint="Check that the file exists and that this user may read it.",
        retry=True,
    )


def _gone(*, stopped: bool) -> ParseError:
    message = "the run ended before it was read" if stopped else "the process that read it is gone"
    return ParseError("stopped", message, hint="Ingest again.", retry=True)
