"""Shuts a process in that opens strangers' files: no network, bounded memory, no life of its own.

`enter` is irrevocable and is inherited by every program that the process starts (soffice, pandoc,
tesseract). It needs no privileges. Linux only; the system calls are made through ctypes because
there is no binding in the standard library. Files stay readable: a parser sees what its user may
see. What the kernel refuses is returned in words and shown by `citadel doctor`, through
`missing`.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import msgspec

MAX_TEMP_FILE_BYTES = 1024**3
_NICENESS = 5

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2

_RET_ALLOW = 0x7FFF0000
_RET_EACCES = 0x00050000 | errno.EACCES
_X32_BIT = 0x40000000  # x86_64 numbers the same calls a second time above this bit

# AUDIT_ARCH, socket(2), io_uring_setup(2): linux/audit.h and the kernel's system call tables
_ARCHES = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}

# struct seccomp_data: nr at 0, arch at 4, args[0] at 16 (low half, both machines little-endian)
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def enter(memory_bytes: int) -> list[str]:
    """Shut this process in for good; returns what the kernel refused, in words.

    `memory_bytes` bounds the address space, of this process and of each one it starts.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_TEMP_FILE_BYTES, MAX_TEMP_FILE_BYTES))
    os.nice(_NICENESS)
    return without_network()


def without_network() -> list[str]:
    """Have the kernel refuse this process every socket but those of this machine, for good.

    Returns what the kernel refused, in words.
    """
    if not _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        return ["the kernel refuses no_new_privs, so parsers are not kept from the network"]
    return _refuse_sockets()


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that started it ends.

    Where the parent is gone already, its end is not going to be announced, so this ends here.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def missing() -> list[str]:
    """What of the sandbox this machine does not give, in words; empty where all is in force.

    It is tried out in a process of its own, since there is no way back out of the sandbox.
    """
    root = str(Path(__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-P", "-m", "rag.sandbox"],
        capture_output=True,
        env={"PYTHONPATH": root},
        timeout=60,
        check=False,
    )
    if run.returncode:
        return [f"the sandbox for parsers cannot be entered (exit code {run.returncode})"]
    return msgspec.json.decode(run.stdout, type=list[str])


def _refuse_sockets() -> list[str]:
    program = _filter_program(platform.machine())
    if program is None:
        return [
            f"no network filter for {platform.machine()}: parsers are not kept from the network"
        ]
    fprog = _Program(len(program) // 8, program)
    if not _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(fprog)):
        return ["the kernel refuses seccomp filters, so parsers are not kept from the network"]
    return []


def _filter_program(machine: str) -> bytes | None:
    """Classic BPF: EACCES for foreign system calls, io_uring and all sockets but AF_UNIX.

    io_uring would open sockets past the filter; so would a second system call table.
    """
    if machine not in _ARCHES:
        return None
    arch, nr_socket, nr_io_uring = _ARCHES[machine]
    instructions = [
        (_LOAD, 0, 0, 4),
        (_JUMP_EQUAL, 0, 7, arch),
        (_LOAD, 0, 0, 0),
        (_JUMP_AT_LEAST, 5, 0, _X32_BIT),
        (_JUMP_EQUAL, 4, 0, nr_io_uring),
        (_JUMP_EQUAL, 0, 2, nr_socket),
        (_LOAD, 0, 0, 16),
        (_JUMP_EQUAL, 0, 1, socket.AF_UNIX),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_EACCES),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)


def _prctl(option: int, *arguments: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    return bool(libc.prctl(option, *padded) == 0)


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(enter(1024**3)).decode())
