"""A real slapd of our own: on free ports of loopback, with its configuration and data in a folder.

It lets in whoever binds with an empty password, as an anonymous caller: so do many servers, and a
client that does not know it takes that for a success.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rag.directory.ldap import ldap3

START_TIMEOUT_S = 30
HOST, NOT_CERTIFIED = "127.0.0.1", "127.0.0.2"  # it listens on both
BASE = "dc=example,dc=org"
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"
ACCOUNT, ACCOUNT_PASSWORD = f"cn=citadel,{BASE}", "looks-people-up"
ROOT, ROOT_PASSWORD = f"cn=root,{BASE}", "changes-things"
CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_anon_cred
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
suffix "{base}"
rootdn "{root}"
rootpw {root_password}
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{groups}" by users read
access to * by dn.exact="{account}" read by self read by * none
"""
ENTRIES = f"""
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups

dn: {ACCOUNT}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: citadel
userPassword: {ACCOUNT_PASSWORD}
"""


@dataclass(frozen=True)
class Slapd:
    """A server that is running."""

    port: int
    tls_port: int
    ca_file: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"ldap://{HOST}:{self.port}"

    @contextmanager
    def root(self) -> Iterator[Any]:
        """A connection that may change everything."""
        server = ldap3.Server(HOST, self.port, get_info=ldap3.NONE)
        with ldap3.Connection(server, ROOT, ROOT_PASSWORD, raise_exceptions=True) as connection:
            yield connection

    def add_person(self, name: str, password: str) -> None:
        """Add a person."""
        values = {"uid": name, "cn": name, "sn": name, "userPassword": password}
        with self.root() as root:
            root.add(dn_of(name), ["inetOrgPerson"], values)

    def remove_person(self, name: str) -> None:
        """Remove a person."""
        with self.root() as root:
            root.delete(dn_of(name))

    def group(self, name: str, *members: str) -> None:
        """Let a group have just these members."""
        dn = f"cn={name},{GROUPS}"
        wanted = [f"uid={member},{PEOPLE}" for member in members] or [GROUPS]
        with self.root() as root:
            with suppress(ldap3.core.exceptions.LDAPNoSuchObjectResult):
                root.delete(dn)
            root.add(dn, ["groupOfNames"], {"member": wanted})

    @contextmanager
    def hung(self) -> Iterator[None]:
        """The server takes connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # until it has stopped
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def dn_of(name: str) -> str:
    """Where a person is."""
    return f"uid={ldap3.utils.dn.escape_rdn(name)},{PEOPLE}"


@contextmanager
def slapd(folder: Path) -> Iterator[Slapd]:
    """A server with the entries above, ended at the end."""
    program = shutil.which("slapd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("slapd is missing: apt-get install slapd")
    _certify(folder)
    (folder / "data").mkdir()
    configuration = folder / "slapd.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder,
            base=BASE,
            root=ROOT,
            root_password=ROOT_PASSWORD,
            groups=GROUPS,
            account=ACCOUNT,
        )
    )
    adding = [Path(program).with_name("slapadd"), "-f", configuration]
    subprocess.run(adding, input=ENTRIES.encode(), check=True, capture_output=True)
    port, tls_port = _free_port(), _free_port()
    hosts = (HOST, NOT_CERTIFIED)
    urls = " ".join(f"ldap://{host}:{port}/ ldaps://{host}:{tls_port}/" for host in hosts)
    command = [program, "-f", configuration, "-h", urls, "-d", "0"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            _wait_for(port, process, folder / "log")
            yield Slapd(port, tls_port, folder / "server.pem", process)
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_S)


def _certify(folder: Path) -> None:
    """A key and a certificate for `HOST` that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    (folder / "server.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection((HOST, port)).close()
            return
        except ConnectionRefusedError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
