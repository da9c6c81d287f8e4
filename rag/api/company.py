"""How the company's own directories sign people in, as far as the settings name any."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from rag.api.border.proxied import Proxied
from rag.secret import kept_secret
from rag.settings import Settings
from rag.store import Terms

if TYPE_CHECKING:
    from rag.directory.openid import Provider

SECRET_FILE = "sign-in.secret"  # noqa: S105  a file's name


@dataclass(frozen=True)
class Company:
    """What there is of them; nothing by default."""

    terms: Terms = field(default_factory=Terms)
    provider: "Provider | None" = None
    provider_label: str = ""
    secret: str = ""  # what a sign-in that has begun is signed with
    proxied: Proxied | None = None
    spent: dict[str, float] = field(default_factory=dict)  # sign-ins that are over: until when

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings name, without connecting to any of it.

        Raises:
            ConfigError: they contradict themselves, or would send a password in clear.
        """
        terms = Terms(settings.company_sign_up, settings.company_create_groups)
        if settings.ldap_url is not None:
            from rag.directory.ldap import Ldap

            Ldap(settings)  # a wrong setting shows now, and not at the first sign-in
        provider, secret = None, ""
        if settings.oidc_issuer is not None:
            from rag.directory.openid import Provider

            provider = Provider(settings)
            secret = kept_secret(settings.data_dir / SECRET_FILE)
        proxied = Proxied(settings, terms) if settings.trusted_proxies else None
        return cls(terms, provider, settings.oidc_label, secret, proxied)

    def sign_in_options(self) -> Sequence[tuple[str, str]]:
        """What a sign-in form offers beside its fields: label and address of each."""
        options = []
        if self.provider is not None:
            options.append((self.provider_label, "/login/oidc"))
        if self.proxied is not None:
            options.append(("Continue as you are signed in", "/login/proxy"))
        return options
