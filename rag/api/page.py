"""The Streamlit page as a child process of the server."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from importlib.resources import files

Say = Callable[[str], None]

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PASSED_ON = frozenset(
    {"HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV"}
)
MAX_RESTARTS = 3
STABLE_S = 60.0  # a page that has run for so long did not fail at its start
STOP_TIMEOUT_S = 5.0
POLL_S = 0.05
_libc = ctypes.CDLL(None)


class Page:
    """Runs the page until it is stopped, starting it again a few times if it dies."""

    def __init__(self, host: str, port: int, env: dict[str, str], say: Say) -> None:
        self._host = host
        self._port = port
        self._env = env
        self._say = say
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Start the page and keep it running; returns when it has died too often in a row."""
        loop = asyncio.get_running_loop()
        restarts_left = MAX_RESTARTS
        try:
            while True:
                began = loop.time()
                self._process = await self._start()
                status = await self._process.wait()
                if loop.time() - began > STABLE_S:
                    restarts_left = MAX_RESTARTS
                if not restarts_left:
                    break
                restarts_left -= 1
                self._say(f"The page has ended with status {status}; starting it again.")
            self._say(f"The page keeps ending with status {status}; only the API is served.")
        finally:
            await self._stop()

    async def answering(self) -> None:
        """Wait until the page accepts connections."""
        while True:
            try:
                _, writer = await asyncio.open_connection(self._host, self._port)
            except OSError:
                await asyncio.sleep(POLL_S)
            else:
                writer.close()
                return

    async def _start(self) -> asyncio.subprocess.Process:
        options = {
            "server.address": self._host,
            "server.port": str(self._port),
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
            "global.developmentMode": "false",
        }
        script = str(files("ui") / "app.py")
        arguments = [f"--{name}={value}" for name, value in options.items()]
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ui.start", "run", script, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,  # ours carries the address, nothing else
            env={name: os.environ[name] for name in os.environ if _is_passed_on(name)} | self._env,
            start_new_session=True,  # Ctrl-C is for the server, which then ends the page
            preexec_fn=_die_with_parent,
        )

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def _is_passed_on(name: str) -> bool:
    """Whether the page gets a variable; those of the server may be secrets, and it needs none."""
    return name in PASSED_ON or name.startswith(("LC_", "PYTHON", "STREAMLIT_"))


def _die_with_parent() -> None:
    """Have the kernel end this process when the server is gone, however it went."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
