"""What is asked of an OpenID provider, and which settings are not safe to start with."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from rag.api.company import Company
from rag.directory.openid import Provider, Transaction
from rag.errors import ConfigError, DirectoryError
from rag.settings import Settings, load_settings
from tests.fakes.openid import CLIENT_ID, CLIENT_SECRET, openid_provider
from tests.fakes.openid import Provider as RunningProvider


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    with openid_provider() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, provider: RunningProvider) -> Settings:
    provider.person(sub="1")
    return load_settings(
        data_dir=tmp_path,
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
    )


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"oidc_client_id": None}, "CLIENT_ID"),
        ({"oidc_issuer": "http://id.example"}, "without encryption"),
        ({"company_ca_file": Path("/nowhere.pem"), "oidc_issuer": "https://id.example"}, "nowhere"),
        ({"ldap_url": "ldap://dc.example"}, "how people are found"),
        ({"ldap_url": "ldap://dc.example", "ldap_user_dn": "uid=ann"}, "same person"),
        (
            {
                "ldap_url": "ldap://dc.example",
                "ldap_user_dn": "uid={name}",
                "ldap_start_tls": False,
            },
            "in clear",
        ),
    ],
)
def test_settings_that_are_not_safe_stop_the_start(
    settings: Settings, wrong: dict[str, Any], what: str
) -> None:
    with pytest.raises(ConfigError, match=what) as refused:
        Company.of(settings.model_copy(update=wrong))
    assert refused.value.hint


@pytest.mark.parametrize(
    ("changes", "endpoints", "what"),
    [
        ({}, {"token_endpoint": "http://evil.example/token"}, "not at localhost"),
        ({}, {"jwks_uri": None}, "not at localhost"),
        ({}, {"issuer": "http://evil.example"}, "calls itself"),
        ({"oidc_issuer": "http://localhost:9"}, {}, "cannot be used"),
    ],
)
def test_only_the_issuer_itself_is_asked_and_believed(
    settings: Settings,
    provider: RunningProvider,
    changes: dict[str, Any],
    endpoints: dict[str, Any],
    what: str,
) -> None:
    provider.behave(endpoints=endpoints)
    asked = Provider(settings.model_copy(update=changes))
    with pytest.raises(DirectoryError, match=what) as refused:
        asyncio.run(asked.address(Transaction.new(), "http://127.0.0.1/login/oidc/callback"))
    assert refused.value.hint
    assert refused.value.status == 503


def test_a_client_secret_that_the_provider_does_not_accept_is_said_to_be_so(
    settings: Settings,
) -> None:
    wrong = settings.model_copy(update={"oidc_client_secret": SecretStr("wrong")})
    with pytest.raises(DirectoryError, match="invalid_client"):
        asyncio.run(Provider(wrong).vouched(Transaction.new(), "http://127.0.0.1/", "code"))
