from pathlib import Path

import pytest

from service.app.settings import SettingsError, load


@pytest.mark.parametrize("models", ["models", "/srv/models", "./s3:", Path("models")])
def test_a_folder_is_a_folder(models: str | Path) -> None:
    settings = load({"models": models})
    assert settings.models == settings.models_folder == Path(models)
    assert settings.store is None


def test_a_url_is_a_store_and_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = load({"models": "s3://bucket/models/"})
    assert settings.store == "s3://bucket/models"
    assert settings.models_folder.parent == tmp_path / "tensorgate"
    assert settings.models_folder != load({"models": "s3://bucket/other"}).models_folder
    assert load({"models": "s3://bucket/models", "models_cache": "/srv/cache"}).models_folder == Path("/srv/cache")


def test_a_secret_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="without a name and a password") as caught:
        load({"models": "https://me:hush@host/models"})
    assert "hush" not in str(caught.value)
