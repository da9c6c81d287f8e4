"""What a parser process cannot do, tried out in processes of their own."""

import socket
import subprocess
import sys
from pathlib import Path

from rag import sandbox

ROOT = str(Path(__file__).parents[2])


def inside(program: str) -> str:
    """The output of a program that has entered the sandbox first."""
    prelude = "from rag import sandbox; refused = sandbox.enter(400 * 1024**2)\n"
    run = subprocess.run(
        [sys.executable, "-c", prelude + program],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": ROOT},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_this_machine_gives_the_whole_sandbox():
    assert sandbox.missing() == []


def test_no_connection_can_be_opened_not_even_to_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        attempts = f"""
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
    try:
        socket.socket(family, socket.SOCK_DGRAM if family == socket.AF_NETLINK else 1)
        print("open")
    except PermissionError:
        print("refused")
try:
    socket.create_connection(("127.0.0.1", {port}), timeout=5)
    print("connected")
except PermissionError:
    print("refused")
"""
        assert inside(attempts).split() == ["refused"] * 4


def test_programs_started_inside_have_no_network_either():
    program = f"""
import subprocess
code = "import socket\\ntry: socket.socket()\\nexcept PermissionError: print('refused')"
print(subprocess.run([{sys.executable!r}, "-c", code], capture_output=True, text=True).stdout)
"""
    assert inside(program) == "refused"


def test_unix_sockets_stay_for_the_programs_that_need_them():
    assert inside("import socket; socket.socketpair(); print('ok')") == "ok"


def test_io_uring_cannot_be_used_to_get_around_the_filter():
    program = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(425, 8, 0), errno.errorcode[ctypes.get_errno()])
"""
    assert inside(program) == "-1 EACCES"


def test_memory_beyond_the_limit_is_refused():
    program = """
try:
    bytearray(600 * 1024**2)
except MemoryError:
    print("refused")
"""
    assert inside(program) == "refused"


def test_a_core_dump_is_never_written():
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
    assert inside(program) == "(0, 0)"


def test_unknown_machine_is_reported_and_not_guessed():
    assert sandbox._filter_program("riscv64") is None
