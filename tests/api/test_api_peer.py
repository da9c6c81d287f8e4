"""Whose socket is at the other end."""

import os
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from rag.api.border import peer
from rag.api.border.auth import is_loopback_name
from rag.api.border.peer import Endpoint, endpoint, owner_uid


def ends(connection: socket.socket) -> tuple[Endpoint, Endpoint]:
    """The peer's end and our own, as a server sees them."""
    theirs, ours = connection.getpeername(), connection.getsockname()
    first, second = endpoint(*theirs[:2]), endpoint(*ours[:2])
    assert first and second
    return first, second


def test_the_owner_of_a_connection_over_ipv4_is_found() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0] as accepted,
    ):
        assert owner_uid(*ends(accepted)) == os.geteuid()


def test_the_owner_of_a_connection_over_ipv6_is_found() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with (
        server,
        socket.create_connection(server.getsockname()[:2]),
        server.accept()[0] as accepted,
    ):
        assert owner_uid(*ends(accepted)) == os.geteuid()


def test_a_connection_that_its_process_has_closed_has_no_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        with server.accept()[0] as accepted:
            pair = ends(accepted)
            client.close()  # from here on the kernel shows it as root's
            assert owner_uid(*pair) is None


def test_a_connection_that_does_not_exist_has_no_owner() -> None:
    here = ip_address("127.0.0.1")
    assert owner_uid(Endpoint(here, 1), Endpoint(here, 2)) is None


HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  ...\n"


@pytest.mark.parametrize(
    ("uid", "inode", "state", "owner"),
    [
        (1000, 77, "01", 1000),
        (0, 0, "01", None),  # the kernel no longer knows
        (0, 77, "05", None),  # closed by its process
        (65534, 77, "01", None),  # a user whom this namespace cannot name
    ],
)
def test_only_an_open_socket_of_a_known_user_has_an_owner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uid: int, inode: int, state: str, owner: int
) -> None:
    table = tmp_path / "tcp"  # of a little-endian machine
    line = (
        f"   0: 0100007F:C350 0100007F:1F40 {state} 0:0 00:0 0 {uid:5} 0 {inode} 1 0 20 4 0 10 -1\n"
    )
    table.write_text(HEADER + line)
    monkeypatch.setattr(peer, "TABLES", (table,))
    here = ip_address("127.0.0.1")
    assert owner_uid(Endpoint(here, 50000), Endpoint(here, 8000)) == owner


def test_a_mapped_address_is_the_address_that_it_maps() -> None:
    assert endpoint("::ffff:127.0.0.1", 80) == endpoint("127.0.0.1", 80)


@pytest.mark.parametrize("name", ["localhost", "app.localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_names(name: str) -> None:
    assert is_loopback_name(name)


@pytest.mark.parametrize(
    "name", ["", "0.0.0.0", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "::"]
)
def test_names_that_are_not_loopback(name: str) -> None:
    assert not is_loopback_name(name)
