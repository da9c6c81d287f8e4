"""The proxy's own configuration, run by a real nginx in front of the real API and the real page."""

import datetime
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import FilePayload, expect, sync_playwright

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-the-tests-only"
NAME = "citadel.test"  # what browsers call it; only the browser here can find it by that name
WAIT_S = 60
NOTES = "# Leave\n\nEvery employee has thirty days of paid annual leave."
QUESTION = "How many days of annual leave does every employee have?"
CITADEL = (sys.executable, "-c", "from rag.cli import main; main()")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def certify(folder: Path) -> None:
    """A certificate for the public name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "tls_certificate").write_bytes(certificate.public_bytes(pem))
    (folder / "tls_key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@contextmanager
def running(
    command: list[str], environment: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[str]"]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        finally:
            process.kill()
            process.communicate()


def await_port(port: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@dataclass
class Site:
    """What the proxy stands before."""

    port: int
    login: str

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}"

    def client(self) -> httpx.Client:
        here, called = f"https://127.0.0.1:{self.port}", {"Host": f"{NAME}:{self.port}"}
        return httpx.Client(
            base_url=here, headers=called, verify=False, trust_env=False, timeout=WAIT_S
        )


@dataclass
class Ports:
    """Where the three listen."""

    proxy: int
    api: int
    page: int


def configuration(folder: Path, ports: Ports) -> Path:
    """Ours, with the addresses and the paths of this test."""
    config = (ROOT / "deploy" / "proxy" / "nginx.conf").read_text()
    for ours, here in (
        ("/tmp/", f"{folder}/"),  # before what may contain it
        ("api:8000", f"127.0.0.1:{ports.api}"),
        ("ui:8501", f"127.0.0.1:{ports.page}"),
        ("listen 8443", f"listen 127.0.0.1:{ports.proxy}"),
        ("/run/secrets/", f"{folder}/"),
    ):
        assert ours in config
        config = config.replace(ours, here)
    written = folder / "nginx.conf"
    written.write_text(config)
    return written


def apart(ports: Ports) -> tuple[list[str], list[str]]:
    """API and page as compose.yaml starts them."""
    serve = [*CITADEL, "serve", "--no-page", "--port", str(ports.api)]
    show = [sys.executable, "-m", "ui.start", "run", "ui/app.py", "--server.address=127.0.0.1"]
    return serve, [*show, f"--server.port={ports.page}"]


def together(ports: Ports) -> tuple[list[str], list[str]]:
    """API and page as the systemd unit starts them."""
    serve = [*CITADEL, "serve", "--port", str(ports.api), "--ui-port", str(ports.page)]
    return serve, ["sleep", "infinity"]


def ready(served: "subprocess.Popen[str]", log: Path) -> str:
    """The login link, once there is one."""
    assert served.stdout is not None
    readable, _, _ = select.select([served.stdout], [], [], WAIT_S)
    line = served.stdout.readline() if readable else ""
    found = re.fullmatch(r"Citadel is ready: (https://\S+)\n", line)
    assert found, log.read_text()
    return found[1]


@pytest.fixture(scope="module", params=[apart, together])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model_home: Path
) -> Iterator[Site]:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is missing: apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("proxy")
    data_dir = folder / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(model_home / "models")
    (folder / "notes.md").write_text(NOTES)
    certify(folder)
    ports = Ports(free_port(), free_port(), free_port())
    kept = {name: value for name, value in os.environ.items() if "CITADEL" not in name}
    environment = kept | {
        "CITADEL_DATA_DIR": str(data_dir),
        "CITADEL_EMBED_BACKEND": "openvino",
        "CITADEL_EMBED_PRECISION": "f32",
        "CITADEL_TOKEN": TOKEN,
        "CITADEL_PUBLIC_URL": f"https://{NAME}:{ports.proxy}",
        "PYTHONPATH": str(ROOT),
    }
    ingest = [*CITADEL, "ingest", str(folder / "notes.md")]
    subprocess.run(ingest, env=environment, check=True, capture_output=True, timeout=WAIT_S)
    serve, show = request.param(ports)
    proxy = [nginx, "-p", folder, "-c", configuration(folder, ports), "-g", "daemon off;"]
    public = environment["CITADEL_PUBLIC_URL"]
    of_page = kept | {
        "CITADEL_API_URL": f"http://127.0.0.1:{ports.api}",
        "CITADEL_PUBLIC_URL": public,
    }
    with (
        running(serve, environment, folder / "api.log") as served,
        running(show, of_page, folder / "page.log"),
        running(list(map(str, proxy)), kept, folder / "proxy.log"),
    ):
        login = ready(served, folder / "api.log")
        for listening in (ports.page, ports.proxy):
            await_port(listening)
        yield Site(ports.proxy, login)


def test_the_configuration_is_sound_and_our_routes_pass(site: Site) -> None:
    token = {"Authorization": f"Bearer {TOKEN}"}
    with site.client() as client:
        assert client.get("/readyz").json()["status"] == "ready"
        assert client.get("/v1/status", headers=token).status_code == 200
        assert client.get("/docs").status_code == 401
        assert client.get("/docs", headers=token).status_code == 200
        assert "Streamlit" in client.get("/").text
        answer = client.post("/v1/query", json={"question": QUESTION}, headers=token)
        assert "thirty days" in answer.json()["answer"]
        assert answer.headers["strict-transport-security"]


def test_other_programs_pass_and_get_addresses_that_lead_back(site: Site) -> None:
    token = {"Authorization": f"Bearer {TOKEN}"}
    chat = {"model": "citadel", "messages": [{"role": "user", "content": QUESTION}]}
    tools = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    with site.client() as client:
        assert client.post("/mcp", json=tools).status_code == 401
        listed = client.post("/mcp", json=tools, headers=token).json()["result"]["tools"]
        assert [tool["name"] for tool in listed] == ["search", "fetch", "ask"]
        answer = client.post("/v1/chat/completions", json=chat, headers=token).json()
        message = answer["choices"][0]["message"]
        assert "thirty days" in message["content"]
        address = message["annotations"][0]["url_citation"]["url"]
        assert address.startswith(f"{site.url}/v1/documents/")
        assert client.get(address.removeprefix(site.url), headers=token).status_code == 200
        body = chat | {"stream": True}
        with client.stream("POST", "/v1/chat/completions", json=body, headers=token) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert list(stream.iter_lines())[-2] == "data: [DONE]"


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/v2/models", "/nothing", "/tokenize", "/.env", "/v1", "/v1/../metrics"),
        *("/_stcore/metrics", "/_stcore/agent/mcp", "/_stcore/upload_file/", "/component/a"),
        *("/mcp/x", "/signed-in"),
    ],
)
def test_what_is_not_ours_does_not_pass(site: Site, path: str) -> None:
    with site.client() as client:
        response = client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 404
    assert "nginx" in response.text, "the proxy says so, not what is behind it"


def test_a_file_may_be_larger_than_every_other_body(site: Site) -> None:
    token, large = {"Authorization": f"Bearer {TOKEN}"}, b"0" * 2_000_000
    with site.client() as client:
        upload = client.post("/v1/documents?collection=nowhere", content=large, headers=token)
        assert upload.status_code == 404 and "nowhere" in upload.json()["detail"]
        assert client.post("/v1/query", content=large, headers=token).status_code == 413


def test_only_who_is_signed_in_uploads_to_the_page(site: Site) -> None:
    where, part = "/_stcore/upload_file/no-session/no-file", b"0" * 2_000_000
    token = {"Authorization": f"Bearer {TOKEN}"}
    with site.client() as client:
        assert client.put(where, content=part).status_code == 401
        refused = client.put(where, content=part, headers=token)
        assert refused.status_code in (400, 403) and "nginx" not in refused.text


def test_who_comes_through_the_proxy_is_nobody_without_a_credential(site: Site) -> None:
    with site.client() as client:
        assert client.get("/v1/status").status_code == 401


def test_a_login_stays_on_the_public_address_and_its_cookie_on_tls(site: Site) -> None:
    with site.client() as client:
        links = client.post("/v1/login-links", headers={"Authorization": f"Bearer {TOKEN}"})
        login = links.json()["url"]
        assert login.startswith(f"{site.url}/login?token=")
        response = client.get(login.removeprefix(site.url))
    assert response.headers["location"] == f"{site.url}/"
    assert "secure" in response.headers["set-cookie"].lower()


@pytest.mark.browser
def test_the_page_works_through_the_proxy(site: Site) -> None:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        page = browser.new_context(ignore_https_errors=True).new_page()
        refused: list[str] = []
        page.on("response", lambda r: refused.append(r.url) if r.status >= 400 else None)
        page.goto(site.url)
        link = page.get_by_role("link", name="Sign in")
        expect(link).to_have_attribute("href", f"{site.url}/login", timeout=WAIT_S * 1000)
        page.goto(site.login)
        page.get_by_label("Your question").fill(QUESTION)
        page.keyboard.press("Enter")
        expect(page.get_by_text("thirty days").first).to_be_visible(timeout=WAIT_S * 1000)
        page.goto(f"{site.url}/documents")
        expect(page.get_by_text("notes.md").first).to_be_visible(timeout=WAIT_S * 1000)
        page.get_by_text("Add documents").click()
        file: FilePayload = {"name": "a.md", "mimeType": "text/markdown", "buffer": b"# A"}
        with page.expect_response(lambda response: "/upload_file/" in response.url):
            page.locator("input[type=file]").set_input_files(file)
        # Streamlit looks below the address that was opened first, and then where it is.
        assert all("/documents/_stcore/" in url for url in refused), refused
        browser.close()
