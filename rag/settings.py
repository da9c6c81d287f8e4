"""All settings, read once at the entry point and handed down frozen.

Order of precedence: arguments, environment (`CITADEL_*`), `citadel.toml` in the working directory
(or the file named by `CITADEL_CONFIG`), defaults. Nothing else in the product reads the
environment.
"""

import os
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from rag.errors import ConfigError

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
        None, description="A local sentence-transformers directory; the bundled MiniLM when unset."
    )
    embed_backend: Literal["auto", "openvino", "torch"] = Field(
        "auto", description="What runs the embedding model; auto takes OpenVINO where it converts."
    )
    dense_index: Literal["auto", "flat", "sq8"] = Field(
        "auto", description="Type of the FAISS index; auto chooses by size (BENCHMARKS.md)."
    )
    dense_weight: float = Field(
        0.55, ge=0, le=1, description="Weight of the dense branch in fusion; lexical has the rest."
    )
    answer_threshold: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Below this evidence score the answer is 'not in the documents'.",
    )
    answer_max_quotes: int = Field(5, ge=1, le=20, description="Most quotes in one answer.")
    ingest_workers: int | None = Field(
        None, ge=1, description="Parser processes; one per core, at most three, when unset."
    )
    parse_timeout_s: float = Field(180.0, gt=0, description="Time that one file may take to parse.")
    parse_memory_bytes: int = Field(
        2 * GIB, gt=0, description="Address space of one parser process."
    )
    max_file_bytes: int = Field(512 * MIB, gt=0, description="Larger files are not read.")
    ocr_languages: str = Field(
        "auto", description="Tesseract languages such as 'eng+deu'; auto takes all installed."
    )
    host: str = Field("127.0.0.1", description="Address that the API and the page listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API.")
    ui_port: int = Field(8501, ge=0, le=65535, description="Port of the page.")
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
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {_file()}: {error}", hint="Correct the file.") from error
    model_dir = settings.model_dir and settings.model_dir.expanduser().absolute()
    data_dir = settings.data_dir.expanduser().absolute()
    return settings.model_copy(update={"data_dir": data_dir, "model_dir": model_dir})


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
