"""Where settings come from, and that each is documented."""

import re
from pathlib import Path

import pytest

from rag.errors import ConfigError
from rag.settings import Settings, load_settings

ROOT = Path(__file__).parent.parent
NAMES = sorted(Settings.model_fields)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working directory and no variable of ours."""
    for name in NAMES:
        monkeypatch.delenv(f"CITADEL_{name.upper()}", raising=False)
    monkeypatch.delenv("CITADEL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_is(name: str) -> None:
    description = Settings.model_fields[name].description or ""
    assert len(description.split()) >= 4
    assert description.endswith(".")


def test_every_setting_is_in_the_documentation_that_lists_settings() -> None:
    files = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    tables = [f.read_text() for f in files if f.is_file() and "CITADEL_DATA_DIR" in f.read_text()]
    for name in NAMES if tables else []:
        assert any(f"CITADEL_{name.upper()}`" in table for table in tables), f"{name} is missing"


def test_the_documentation_says_of_each_setting_what_it_says_itself() -> None:
    table = (ROOT / "docs" / "settings.md").read_text()
    for name in NAMES:
        (row,) = re.findall(rf"^\| `CITADEL_{name.upper()}` \|.*\| (.*) \|$", table, re.M)
        assert row == Settings.model_fields[name].description, name


def test_environment_beats_the_file_and_an_argument_beats_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("citadel.toml").write_text("port = 1111\nui_port = 2222\nhost = '::1'\n")
    monkeypatch.setenv("CITADEL_PORT", "3333")
    monkeypatch.setenv("CITADEL_HOST", "127.0.0.2")
    settings = load_settings(host="127.0.0.3")
    assert (settings.port, settings.ui_port, settings.host) == (3333, 2222, "127.0.0.3")


def test_the_file_may_lie_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("port = 4444\n")
    monkeypatch.setenv("CITADEL_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().port == 4444


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("dense_weight", "1.5"),
        ("answer_threshold", "high"),
        ("embed_backend", "cuda"),
        ("ingest_workers", "0"),
        ("parse_timeout_s", "0"),
        ("trusted_proxies", "10.0.0.5"),
        ("trusted_proxies", '["proxy.example"]'),
        ("oidc_scopes", "profile"),
        ("ldap_url", "dc.example"),
    ],
)
def test_an_unusable_value_is_an_error_that_names_the_setting(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CITADEL_{name.upper()}", value)
    with pytest.raises(ConfigError, match=name) as raised:
        load_settings()
    assert raised.value.hint


def test_an_unknown_setting_in_the_file_is_an_error() -> None:
    Path("citadel.toml").write_text("ports = 1\n")
    with pytest.raises(ConfigError, match="ports"):
        load_settings()


def test_an_unknown_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITADEL_ANSWER_TRESHOLD", "0.9")
    with pytest.raises(ConfigError, match="CITADEL_ANSWER_TRESHOLD"):
        load_settings()


@pytest.mark.parametrize("content", [b"port = \n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_toml_is_an_error_and_no_traceback(content: bytes) -> None:
    Path("citadel.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"citadel\.toml"):
        load_settings()


def test_a_named_file_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITADEL_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_settings()


def test_paths_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings(data_dir="~/documents", model_dir="~/model")
    assert settings.data_dir == tmp_path / "documents"
    assert settings.model_dir == tmp_path / "model"


def test_a_relative_data_directory_becomes_absolute(tmp_path: Path) -> None:
    settings = load_settings(data_dir="here")
    assert settings.data_dir == tmp_path / "here"
    assert settings.url == f"sqlite:///{tmp_path / 'here' / 'citadel.db'}"


def test_the_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITADEL_TOKEN", "very-secret")
    settings = load_settings()
    assert "very-secret" not in f"{settings!r} {settings}"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]
