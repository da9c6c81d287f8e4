"""All settings, read once at the entry point and handed down frozen.

Order of precedence: arguments, environment (`CITADEL_*`), `citadel.toml` in the working directory
(or the file named by `CITADEL_CONFIG`), defaults. Nothing else in the product reads the
environment.
"""

import os
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from rag.errors import ConfigError
from rag.types import IndexServer

GIB = 1024**3
MIB = 1024**2
PREFIX = "CITADEL_"
NO_SETTINGS = {"CITADEL_CONFIG", "CITADEL_API_URL", "CITADEL_API_TOKEN"}  # the last two: ui
HINT = "Check CITADEL_* variables and citadel.toml."


class Settings(BaseSettings):
    """One frozen object with every setting; each field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data_dir: Path = Field(
        Path("~/.citadel"), description="Where database, originals and index snapshots live."
    )
    database_url: str | None = Field(
        None, description="SQLAlchemy URL; SQLite inside data_dir when unset."
    )
    model_dir: Path | None = Field(
        None,
        description="A local sentence-transformers directory, for a new data directory; the bundled"
        " MiniLM when unset. Later: `citadel model`.",
    )
    embed_backend: Literal["auto", "openvino", "torch"] = Field(
        "auto", description="What runs the embedding model; auto takes OpenVINO where it converts."
    )
    embed_precision: Literal["auto", "int8", "bf16", "f32"] = Field(
        "auto",
        description="Arithmetic of the embedding model on OpenVINO; auto takes the fastest that the"
        " processor has and that keeps the model's vectors.",
    )
    dense_index: Literal["auto", "flat", "sq8", "ivf"] = Field(
        "auto", description="Type of the FAISS index; auto chooses by size (BENCHMARKS.md)."
    )
    index_url: str | None = Field(
        None,
        pattern=r"^(https?://[^?#@\s]+|[^:]+\.db)$",
        description="A Milvus that holds the indexes of all processes: http://host:19530/database,"
        " or a file for milvus-lite such as /srv/index.db; FAISS and Tantivy in each when unset.",
    )
    index_token: SecretStr | None = Field(
        None, description="Token of that Milvus, such as user:password."
    )
    dense_weight: float = Field(
        0.7, ge=0, le=1, description="Weight of the dense branch in fusion; lexical has the rest."
    )
    rerank_model_dir: Path | None = Field(
        None,
        description="A local cross-encoder, trained to rank passages, that puts the best candidates"
        " of each search in a new order.",
    )
    answer_threshold: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Below this evidence score the answer is 'not in the documents'.",
    )
    answer_max_quotes: int = Field(5, ge=1, le=20, description="Most quotes in one answer.")
    answer_depth: Literal["quick", "standard", "exhaustive"] = Field(
        "standard",
        description="How much the engine reads for an answer: 8k, 32k tokens, or its whole window.",
    )
    answer_unsupported: Literal["mark", "drop"] = Field(
        "mark", description="What becomes of a sentence that its citations do not support."
    )
    answer_rewrite: bool = Field(
        True, description="Rewrite a follow-up into a question that stands alone."
    )
    support_model_dir: Path | None = Field(
        None, description="A local NLI cross-encoder that checks sentences against citations."
    )
    engine_url: str | None = Field(
        None,
        description="Base URL of an OpenAI-compatible server such as http://10.0.0.5:8001/v1;"
        " answers are quotes when unset.",
    )
    engine_model: str | None = Field(
        None, description="Name of the model there; the only one it serves when unset."
    )
    engine_api_key: SecretStr | None = Field(None, description="API key of the engine.")
    engine_model_dir: Path | None = Field(
        None, description="The engine's model directory, for its tokenizer and its size."
    )
    engine_context_tokens: int | None = Field(
        None, ge=1024, description="The engine's window; what it says itself when unset."
    )
    engine_answer_tokens: int = Field(
        1024, ge=64, description="Tokens kept free for an answer, and the longest one."
    )
    engine_connect_timeout_s: float = Field(3.0, gt=0, description="Time to reach the engine.")
    engine_first_token_timeout_s: float = Field(
        60.0, gt=0, description="Time to the first token; then quotes are given instead."
    )
    engine_token_timeout_s: float = Field(20.0, gt=0, description="Time between two tokens.")
    engine_kv_tokens: int | None = Field(
        None, gt=0, description="Tokens that the engine's KV cache holds; asked of it when unset."
    )
    engine_concurrency: int = Field(64, ge=1, description="Most answers written at once.")
    engine_waiting: int = Field(64, ge=0, description="Most questions that wait for the engine.")
    engine_wait_s: float = Field(30.0, gt=0, description="Longest wait for the engine.")
    guard_url: str | None = Field(
        None, description="Base URL of the server of Llama Guard 3; required with an engine."
    )
    guard_model: str | None = Field(
        None, description="Name of the guard's model there; the only one it serves when unset."
    )
    guard_api_key: SecretStr | None = Field(None, description="API key of the guard.")
    guard_timeout_s: float = Field(
        5.0, gt=0, description="Time for a verdict; none in time means blocked."
    )
    guard_threshold: float = Field(
        0.5, ge=0, le=1, description="Probability of 'unsafe' from which a text counts as unsafe."
    )
    guard_actions: dict[str, Literal["block", "warn", "ignore"]] = Field(
        {"S6": "warn", "S7": "warn"},
        description="What a category of Llama Guard 3 (S1-S14) does; block where unnamed.",
    )
    allow_unguarded: bool = Field(
        False, description="Start with an engine and without a guard, and say so everywhere."
    )
    research_rounds: int = Field(6, ge=1, le=50, description="Most tool calls of a research.")
    research_tokens: int = Field(
        60_000, gt=0, description="Most tokens that a research reads in all its rounds."
    )
    research_timeout_s: float = Field(120.0, gt=0, description="Longest time of a research.")
    caller_requests_per_minute: int = Field(
        1200, ge=1, description="Most requests of one caller in a minute."
    )
    caller_answers_at_once: int = Field(
        16, ge=1, description="Most answers made, and runs watched, for one caller at a time."
    )
    caller_uploads_waiting: int = Field(
        100, ge=1, description="Most uploads of one caller that wait to be read."
    )
    caller_tokens_per_hour: int = Field(
        5_000_000, ge=1, description="Most tokens that an engine reads and writes for one caller."
    )
    conversations_readable_by_admins: bool = Field(
        False, description="Let admins read the conversations of others, as far as their grants go."
    )
    ingest_workers: int | None = Field(
        None, ge=1, description="Parser processes; half the cores, two to eight, when unset."
    )
    parse_timeout_s: float = Field(180.0, gt=0, description="Time that one file may take to parse.")
    parse_memory_bytes: int = Field(
        2 * GIB, gt=0, description="Address space of one parser process."
    )
    max_file_bytes: int = Field(512 * MIB, gt=0, description="Larger files are not read.")
    ingest_roots: list[Path] = Field(
        [],
        description="Folders that an ingest by the API may read from, with all below; none unless"
        " set. Whoever manages a collection may bring all of them into it, and read it there.",
    )
    ray_address: str | None = Field(
        None,
        pattern=r"^(auto|local|ray://[^/?#@\s]+|[^/?#@\s]+:\d{1,5})$",
        description="A Ray cluster that parses files, such as 10.0.0.5:6379 or ray://10.0.0.5:10001;"
        " local starts one on this machine. Parsed by this machine alone when unset.",
    )
    ocr_languages: str = Field(
        "auto",
        description="Tesseract languages such as 'eng+deu'; auto takes the first three that are"
        " installed of eng, deu, spa, fra, ita, por, hin, tha.",
    )
    host: str = Field("127.0.0.1", description="Address that the API and the page listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API.")
    ui_port: int = Field(8501, ge=0, le=65535, description="Port of the page.")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#@\s]+$",
        description="What browsers call page and API by, behind a proxy: https://citadel.example.",
    )
    company_sign_up: bool = Field(
        True, description="Add who signs in by the company's directory for the first time."
    )
    company_create_groups: bool = Field(
        False, description="Add groups that the directory names and that are not there yet."
    )
    company_ca_file: Path | None = Field(
        None, description="Certificates that vouch for its servers; the system's when unset."
    )
    oidc_issuer: str | None = Field(
        None,
        pattern=r"^https?://[^?#@\s]+$",
        description="Address of an OpenID Connect provider, exactly as it names itself.",
    )
    oidc_client_id: str | None = Field(None, description="What the provider knows Citadel by.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Secret that goes with it; none for a public client."
    )
    oidc_scopes: str = Field(
        "openid profile", pattern=r"\bopenid\b", description="Scopes that are asked for."
    )
    oidc_name_claim: str = Field(
        "preferred_username", description="Claim of the ID token that becomes the user's name."
    )
    oidc_groups_claim: str | None = Field(
        "groups", description="Claim of the ID token that lists the user's groups."
    )
    oidc_label: str = Field(
        "Company account", description="What the button on the sign-in form says."
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Addresses or networks whose proxy says who is calling; a JSON list."
    )
    proxy_user_header: str = Field(
        "X-Remote-User",
        pattern=r"^[A-Za-z0-9-]+$",
        description="Header in which such a proxy names the user.",
    )
    proxy_groups_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]+$",
        description="Header in which it names the user's groups, with commas between.",
    )
    ldap_url: str | None = Field(
        None,
        pattern=r"^ldaps?://[^/?#@\s]+$",
        description="Address of an LDAP server: ldaps://dc.example, or ldap:// with StartTLS.",
    )
    ldap_start_tls: bool = Field(
        True, description="Encrypt ldap:// by StartTLS; may be off for a loopback address only."
    )
    ldap_timeout_s: int = Field(5, ge=1, description="Time for each answer of that server.")
    ldap_bind_dn: str | None = Field(
        None, description="Account that looks people up; unset where ldap_user_dn is enough."
    )
    ldap_bind_password: SecretStr | None = Field(None, description="Password of that account.")
    ldap_user_dn: str | None = Field(
        None, description="Where people are found without it: uid={name},ou=people,dc=example."
    )
    ldap_user_base: str | None = Field(
        None, description="Entry below which that account looks people up."
    )
    ldap_user_filter: str = Field(
        "(uid={name})", description="Filter that finds the person of a name."
    )
    ldap_name_attribute: str = Field(
        "uid", description="Attribute that becomes the user's name: sAMAccountName with AD."
    )
    ldap_id_attribute: str = Field(
        "entryUUID", description="Attribute that no other person ever gets: objectGUID with AD."
    )
    ldap_group_base: str | None = Field(
        None, description="Entry below which groups are; no groups are asked for when unset."
    )
    ldap_group_filter: str = Field(
        "(member={dn})", description="Filter that finds a person's groups, by {dn} or {name}."
    )
    ldap_group_attribute: str = Field(
        "cn", description="Attribute of a group that is its name here."
    )
    audit_questions: Literal["clear", "hashed", "none"] = Field(
        "hashed",
        description="How audit records keep what was asked; hashed can be compared, not read.",
    )
    audit_keep_days: int | None = Field(
        None, ge=1, description="Days that audit records are kept; for good when unset."
    )
    audit_syslog: str | None = Field(
        None,
        pattern=r"^((tcp|udp)://[^/?#@\s]+:\d{1,5}|unix:/\S+)$",
        description="Where a server sends each audit record: tcp://host:601, udp://host:514,"
        " unix:/dev/log.",
    )
    backup_dirs: list[Path] = Field(
        [], description="Folders with backups, which `citadel forget --prove` searches as well."
    )
    token: SecretStr | None = Field(
        None, description="Fixed API token; made at random and kept in data_dir when unset."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the TOML file; no .env and no secrets folder."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _file())

    @property
    def url(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'citadel.db'}"

    @property
    def index(self) -> Literal["auto", "flat", "sq8", "ivf"] | IndexServer:
        """Where the indexes are: in each process, of this type, or on a server."""
        if self.index_url is None:
            return self.dense_index
        token = self.index_token.get_secret_value() if self.index_token else ""
        server = IndexServer(self.index_url, token, self.company_ca_file)
        if not server.is_file:
            return server
        return replace(server, url=str(Path(server.url).expanduser().absolute()))


def load_settings(**overrides: object) -> Settings:
    """Read the settings from all sources.

    Raises:
        ConfigError: a setting is unknown or has an unusable value, or the file cannot be read.
    """
    _check_sources()
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"unusable settings: {wrong}", hint=HINT) from error
    except SettingsError as error:
        hint = """Lists and tables are written as JSON in a variable: '["10.0.0.5"]'."""
        raise ConfigError(f"unusable settings: {error}", hint=hint) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {_file()}: {error}", hint="Correct the file.") from error
    models = ("model_dir", "rerank_model_dir", "support_model_dir", "engine_model_dir")
    paths = ("data_dir", "company_ca_file", *models)
    named = {name: getattr(settings, name) for name in paths if getattr(settings, name)}
    placed = {name: path.expanduser().absolute() for name, path in named.items()}
    roots = [path.expanduser().absolute() for path in settings.ingest_roots]
    return settings.model_copy(update={**placed, "ingest_roots": roots})


def _file() -> Path:
    return Path(os.environ.get("CITADEL_CONFIG", "citadel.toml"))


def _check_sources() -> None:
    """What pydantic passes over in silence: a misspelt variable, a named file that isn't there."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | NO_SETTINGS
    ours = {name for name in os.environ if name.upper().startswith(PREFIX)}
    if unknown := sorted(name for name in ours if name.upper() not in known):
        raise ConfigError(f"there is no setting {', '.join(unknown)}", hint=HINT)
    if "CITADEL_CONFIG" in os.environ and not _file().is_file():
        raise ConfigError(
            f"the settings file {_file()} is missing", hint="Correct or unset CITADEL_CONFIG."
        )
