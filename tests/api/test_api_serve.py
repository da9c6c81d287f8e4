"""`serve`: API and page together, from the start to Ctrl-C."""

import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from api_live import wait_for

from rag.api.serve import serve
from rag.errors import ConfigError
from rag.settings import load_settings

READY_TIMEOUT_S = 60
SECRET = "a-token-that-only-the-server-knows"
PROGRAM = """
import sys
from rag.api.serve import serve
from rag.settings import load_settings
sys.exit(serve(load_settings(data_dir=sys.argv[1], port=0, ui_port=0)))
"""


@dataclass
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    errors: Path
    login: str

    def pages(self) -> list[psutil.Process]:
        """The page's process, once it runs."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "ui.start" in child.cmdline()]


@contextmanager
def served(data_dir: Path, models: Path) -> Iterator[Served]:
    """The server, after it has said that it is ready."""
    data_dir.mkdir()
    (data_dir / "models").symlink_to(models)
    errors = data_dir.parent / "stderr"
    with errors.open("w") as stderr:
        command = [sys.executable, "-c", PROGRAM, str(data_dir)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        yield Served(process, errors, _address(process, errors))
    finally:
        process.kill()
        process.communicate()


def _address(process: subprocess.Popen[str], errors: Path) -> str:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], READY_TIMEOUT_S)
    line = process.stdout.readline() if readable else ""
    found = re.fullmatch(r"Citadel is ready: (http://127\.0\.0\.1:\d+/login\?token=\S+)\n", line)
    assert found, f"{line!r} {errors.read_text()}"
    return found[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_a_link_serves_and_ends_cleanly(
    tmp_path: Path, models: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITADEL_TOKEN", SECRET)
    with served(tmp_path / "data", models) as server:
        [page] = server.pages()
        given = page.environ()
        assert SECRET not in given.values()
        ours = {name for name in given if name.startswith("CITADEL_")}
        assert ours == {"CITADEL_API_URL", "CITADEL_PUBLIC_URL"}
        with httpx.Client(trust_env=False, verify=False, follow_redirects=True) as browser:
            shown = browser.get(server.login)
            assert shown.status_code == 200
            assert shown.history[0].status_code == 303
            assert "<html" in shown.text
        _first_admin_signs_in(server.errors.read_text())
        server.process.send_signal(number)
        rest, _ = server.process.communicate(timeout=30)
        assert server.process.returncode == 0
        assert rest == ""
        assert "Traceback" not in server.errors.read_text()
        assert not page.is_running()


def _first_admin_signs_in(said: str) -> None:
    """By the link that the first start prints beside the operator's."""
    [link] = re.findall(r"The first admin, user 'admin', signs in by (\S+)\n", said)
    with httpx.Client(trust_env=False, verify=False) as browser:
        assert browser.get(link).status_code == 303
        me = browser.get(httpx.URL(link).copy_with(path="/v1/me", query=None)).json()
    assert (me["name"], me["roles"]) == ("admin", ["admin"])


def test_a_page_that_dies_is_started_again(tmp_path: Path, models: Path) -> None:
    with served(tmp_path / "data", models) as server:
        [first] = server.pages()
        first.kill()
        wait_for(lambda: "starting it again" in server.errors.read_text())
        wait_for(lambda: any(page.pid != first.pid for page in server.pages()))


def test_the_page_does_not_outlive_a_server_that_is_killed(tmp_path: Path, models: Path) -> None:
    with served(tmp_path / "data", models) as server:
        [page] = server.pages()
        server.process.kill()
        server.process.wait()
        _, alive = psutil.wait_procs([page], timeout=10)
        assert alive == []


@pytest.mark.parametrize(("taken", "option"), [("port", "--port"), ("ui_port", "--ui-port")])
def test_a_port_in_use_is_said(tmp_path: Path, taken: str, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"port": 0, "ui_port": 0, taken: other.getsockname()[1]}
        with pytest.raises(ConfigError, match="is in use") as caught:
            serve(load_settings(data_dir=tmp_path, **ports))
    assert option in caught.value.hint


def test_an_address_that_is_not_ours_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1"):
        serve(load_settings(data_dir=tmp_path, host="192.0.2.1", port=0, ui_port=0))


def test_what_cannot_be_loaded_ends_it(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, model_dir=tmp_path / "no", port=0, ui_port=0)
    with pytest.raises(Exception, match="no sentence-transformers model"):
        serve(settings)
