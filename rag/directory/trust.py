"""Which servers of the company are believed: by certificate, or because they are this machine."""

import ipaddress
import ssl
from pathlib import Path

from rag.errors import ConfigError


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """TLS as a client that checks the server's certificate and name.

    Raises:
        ConfigError: the file cannot be read, or holds no certificates.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"cannot use the certificates in {ca_file}: {error.strerror or error}",
            hint="CITADEL_COMPANY_CA_FILE names a PEM file with the certificates of your CA.",
        ) from error


def is_loopback(host: str) -> bool:
    """Whether a host name or address always means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
