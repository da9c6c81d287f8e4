"""A parser process: framed `Job`s on stdin, a framed `Parsed` or `Failure` for each on stdout.

A frame is a kind (one byte), a length (8 bytes, big-endian) and MessagePack. This is the border
where everything a parsing library can raise becomes a `Failure`; what kills the process instead is
for `pool` to report.

    python -m ingest.parse.worker MEMORY_BYTES PARENT_PID
"""

import os
import struct
import sys
from typing import BinaryIO

import msgspec

from ingest.parse.model import Failure, Job, Parsed
from rag import sandbox
from rag.errors import ParseError

FRAME = struct.Struct(">cQ")
PARSED, FAILURE = b"P", b"F"
_RECURSION_LIMIT = 5000  # walks over trees bound their own depth far below this


def main() -> None:
    """Answer jobs until stdin ends."""
    jobs, answers = _claim_streams()
    sandbox.die_with_parent(int(sys.argv[2]))
    sandbox.enter(int(sys.argv[1]))
    sys.setrecursionlimit(_RECURSION_LIMIT)
    decode = msgspec.msgpack.Decoder(Job).decode
    while header := jobs.read(FRAME.size):
        _, length = FRAME.unpack(header)
        _send(answers, answer(decode(jobs.read(length))))


def answer(job: Job) -> Parsed | Failure:
    """Parse one file, turning whatever is raised on the way into a `Failure`."""
    try:
        from ingest.parse.read import read_document

        return read_document(job)
    except ParseError as error:
        return Failure(error.code, error.message, error.hint, error.retry)
    except MemoryError:
        return out_of_memory()
    except ImportError as error:
        return Failure(
            "broken_install",
            f"a part of Citadel is missing: {error}",
            "Install Citadel again, or run `citadel doctor`.",
            retry=True,
        )
    except OSError as error:
        return Failure(
            "unreadable",
            f"the file cannot be read: {error.strerror or error}",
            "Check that the file exists and that this user may read it.",
            retry=True,
        )
    except Exception as error:  # noqa: BLE001  the border: libraries raise anything on odd files
        return damaged(error)


def out_of_memory() -> Failure:
    """The failure for a file that needs more memory than a parser may use."""
    return Failure(
        "memory",
        "reading it needs more memory than a parser may use",
        "Split the file, or raise CITADEL_PARSE_MEMORY_BYTES.",
        retry=True,
    )


def damaged(error: Exception) -> Failure:
    """The failure for a file that a library could not make sense of."""
    detail = " ".join(str(error).split())[:200]
    return Failure(
        "damaged",
        f"the file is damaged or not what it claims to be ({type(error).__name__}: {detail})",
        "Open it in its application and save it anew; if that fails too, the file is broken.",
    )


def _claim_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout away from the libraries, whose prints would corrupt the stream."""
    jobs = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return jobs, answers


def _send(answers: BinaryIO, message: Parsed | Failure) -> None:
    try:
        body = msgspec.msgpack.encode(message)
    except MemoryError:
        message = out_of_memory()
        body = msgspec.msgpack.encode(message)
    except UnicodeEncodeError as error:
        message = damaged(error)
        body = msgspec.msgpack.encode(message)
    answers.write(FRAME.pack(PARSED if isinstance(message, Parsed) else FAILURE, len(body)))
    answers.write(body)
    answers.flush()


if __name__ == "__main__":
    main()
