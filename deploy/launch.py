"""`citadel engine serve`: the servers as child processes, started together and ended together."""

import asyncio
import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.engine import KEY, Command
from rag.errors import ConfigError, EngineUnavailable

OLDEST = (0, 31)  # older ones have known holes
INSTALL = (
    "Install vLLM into an environment of its own, not Citadel's: "
    "python3 -m venv /opt/vllm && /opt/vllm/bin/pip install 'vllm>=0.31'; "
    "then name it with --vllm /opt/vllm/bin/vllm."
)
FORBIDDEN = ("VLLM_SERVER_DEV_MODE",)  # it opens routes that change the server
VERSION_TIMEOUT_S = 300  # the first import of torch from a cold disk
POLL_S = 0.25
TELL_S = 15.0  # how often the wait is reported
STOP_TIMEOUT_S = 30.0
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_libc = ctypes.CDLL(None)

Say = Callable[[str], None]


@dataclass
class Server:
    """A command that runs."""

    command: Command
    process: asyncio.subprocess.Process


def find_vllm(named: Path | None) -> Path:
    """The program, new enough to be used.

    Raises:
        ConfigError: it is not there, does not run, or is too old.
    """
    found = shutil.which(named or "vllm")
    if found is None:
        where = f"no program at {named}" if named else "no vllm on the PATH"
        raise ConfigError(f"there is {where}", hint=INSTALL)
    version = _version(Path(found))
    if version < OLDEST:
        raise ConfigError(
            f"{found} is vLLM {'.'.join(map(str, version))}, which has known security holes",
            hint=f"Use {'.'.join(map(str, OLDEST))} or newer. {INSTALL}",
        )
    return Path(found).absolute()


def _version(program: Path) -> tuple[int, ...]:
    try:
        ended = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=VERSION_TIMEOUT_S,
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout or "nothing").strip().splitlines()[-1:]
        raise ConfigError(f"{program} fails: {' '.join(last)[:300]}", hint=INSTALL) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{program} does not run: {error}", hint=INSTALL) from error
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", ended.stdout)
    if found is None:
        raise ConfigError(f"{program} does not tell its version", hint=INSTALL)
    return tuple(int(part) for part in found.groups() if part is not None)


def read_key(file: Path) -> str:
    """The key in a file that only its owner, or its owner's group, can read.

    Raises:
        ConfigError: it cannot be read, is empty, or everyone can read it.
    """
    try:
        open_to_all = file.stat().st_mode & 0o007
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the key in {file}: {error}", hint="Check --key-file."
        ) from error
    if open_to_all:
        raise ConfigError(f"everyone can read the key in {file}", hint=f"chmod 600 {file}")
    if not key or not key.isprintable() or not key.isascii():
        raise ConfigError(f"{file} holds no key", hint=f"openssl rand -hex 32 > {file}")
    return key


async def serve(
    commands: Sequence[Command], program: Path, key: str | None, start_timeout_s: float, say: Say
) -> None:
    """Run the commands until SIGINT or SIGTERM, then end them all.

    A guard that shares a GPU is awaited before the next is started: `commands` are in that order
    then. A second signal kills.

    Raises:
        EngineUnavailable: one did not start in time, or has ended; the others are ended too.
    """
    running: list[Server] = []
    stop = _on_signals(running, say)
    try:
        await _until(stop, _run(commands, program, environment(key), start_timeout_s, running, say))
    finally:
        await _end(running, say)


async def _run(
    commands: Sequence[Command],
    program: Path,
    env: Mapping[str, str],
    start_timeout_s: float,
    running: list[Server],
    say: Say,
) -> None:
    """Start all, wait until all are healthy, then until one of them ends."""
    in_turn = commands[0].role == "guard"  # it shares a GPU, see `deploy.engine.commands`
    for command in commands:
        server = Server(command, await _start(command, program, env))
        running.append(server)
        say(f"{command.role}: started as process {server.process.pid}")
        if in_turn:
            await _healthy(server, start_timeout_s, say)
    if not in_turn:
        await asyncio.gather(*(_healthy(server, start_timeout_s, say) for server in running))
    for server in running:
        _print(f"{server.command.role} ready: {server.command.url}/v1")
    ended = await _first_to_end(running)
    raise _has_ended(ended)


def environment(key: str | None) -> dict[str, str]:
    """Ours for the children, with the key and without what would open the servers."""
    kept = {name: value for name, value in os.environ.items() if name not in FORBIDDEN}
    return kept if key is None else kept | {KEY: key}


async def _start(
    command: Command, program: Path, env: Mapping[str, str]
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        program,
        *command.arguments[1:],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),  # ours carries the addresses, nothing else
        env={**env, **command.environment},
        start_new_session=True,  # Ctrl-C is for us, who then end the servers
        preexec_fn=_die_with_parent,
    )


def _die_with_parent() -> None:
    """Have the kernel end this process when we are gone, however we went."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def _healthy(server: Server, timeout_s: float, say: Say) -> None:
    """Wait until a server answers, and tell how long it has been."""
    role, began = server.command.role, time.monotonic()
    told = began
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        while not await _answers(client, f"{server.command.url}/health"):
            if server.process.returncode is not None:
                raise _has_ended(server)
            now = time.monotonic()
            if now - began > timeout_s:
                raise EngineUnavailable(
                    f"the {role} did not answer within {timeout_s:.0f} s",
                    hint="Its log is above. Large models from slow disks: raise --start-timeout.",
                )
            if now - told > TELL_S:
                told = now
                say(f"{role}: loading, {now - began:.0f} s")
            await asyncio.sleep(POLL_S)
    say(f"{role}: ready after {time.monotonic() - began:.0f} s")


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False


async def _first_to_end(running: Sequence[Server]) -> Server:
    waits = {asyncio.create_task(server.process.wait()): server for server in running}
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
    return waits[done.pop()]


def _has_ended(server: Server) -> EngineUnavailable:
    return EngineUnavailable(
        f"the {server.command.role} has ended with status {server.process.returncode}",
        hint="Its log is above; the other servers were ended too.",
    )


def _on_signals(running: Sequence[Server], say: Say) -> asyncio.Event:
    """An event that the first SIGINT or SIGTERM sets; the second one kills."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            _signal(running, signal.SIGKILL)
            return
        say("ending the servers")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return stop


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do the work until it is done or `stop` is set."""
    doing = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        doing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await doing


async def _end(running: Sequence[Server], say: Say) -> None:
    """Ask every server to end, and kill what does not, with its workers."""
    _signal(running, signal.SIGTERM)
    waits = [server.process.wait() for server in running]
    try:
        await asyncio.wait_for(asyncio.gather(*waits), STOP_TIMEOUT_S)
    except TimeoutError:
        say(f"a server did not end within {STOP_TIMEOUT_S:.0f} s and is killed")
    _signal(running, signal.SIGKILL, also_ended=True)  # workers that outlived their server
    await asyncio.gather(*(server.process.wait() for server in running))


def _signal(running: Sequence[Server], number: int, *, also_ended: bool = False) -> None:
    """Signal the process group of each server."""
    for server in running:
        if also_ended or server.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.process.pid, number)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201  the command's result
