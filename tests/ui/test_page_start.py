"""The page's server asks no host on the internet for its own address."""

import subprocess
import sys

SCRIPT = """
import sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"network: {event} {arguments}")
import ui.start
from streamlit import net_util
from streamlit.web.server.server_util import is_url_from_allowed_origins
sys.addaudithook(hook)
assert not is_url_from_allowed_origins("http://elsewhere.example")
assert net_util.get_external_ip() == net_util.get_internal_ip() == "127.0.0.1"
"""


def test_streamlit_asks_nobody_for_its_address() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
