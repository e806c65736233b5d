from pathlib import Path

import pytest

from gateway.settings import Settings, SettingsError, reference

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_page_of_settings_is_what_the_class_says() -> None:
    assert PAGE.read_text() == reference(), "run: clonegraph settings > docs/settings.md"


def test_every_mistake_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mistakes = {
        "DATABASE_URL": ("mysql://somewhere", "it must begin with postgresql://"),
        "REDIS_URL": ("http://somewhere", "it must begin with redis://"),
        "STORAGE_URL": ("bucket/path", "it must be like file:///path"),
        "JWT_SECRET": ("short", "it must have at least 32 characters"),
        "JWT_JWKS_URL": ("somewhere", "it must begin with https://"),
        "MAX_DEPTH": ("0", "greater than or equal to 1"),
        "DOCUMENTS": ("some", "'any' or 'trusted'"),
        "CORS_ORIGINS": ("https://a.example, b.example", "it must begin with https://"),
        "LOG_LEVEL": ("loud", "'debug', 'info', 'warning' or 'error'"),
    }
    for name, (value, _) in mistakes.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as refusal:
        Settings.read()

    for name, (_, reason) in mistakes.items():
        assert any(name in line and reason in line for line in str(refusal.value).splitlines()), name


def test_lists_are_written_with_commas_or_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example/, https://b.example")
    monkeypatch.setenv("JWT_ALGORITHMS", "RS256 ES256")

    settings = Settings.read()

    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.jwt_algorithms == ("RS256", "ES256")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")

    assert Settings.read().redis_url is None


def test_a_secret_is_not_shown_where_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "x" * 40)

    assert "x" * 40 not in repr(Settings.read())
