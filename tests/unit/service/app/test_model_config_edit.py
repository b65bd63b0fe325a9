"""The operator's file of models changed: as a whole, by one at a time, where it lies."""

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from service.app.model_config_edit import edit_model_config
from service.app.model_config_file import ModelConfigFile
from service.app.rollout_follower import write_rollout
from service.core.model_config import ModelConfig
from service.core.rollout import Reason, RolledBack, Rollout
from service.errors import GatewayError

ROLLOUT = Rollout(stable=1, canary=2, start_time=1000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "models.config"
    made.write_text('model_config_list { config { name: "m" base_path: "m" model_version_policy { all {} } } }')
    made.chmod(0o640)
    return made


def declare(config: ModelConfig) -> ModelConfig:
    return replace(config, traffic=replace(config.traffic, rollout=ROLLOUT))


def declared(file: Path) -> Rollout | None:
    [config] = ModelConfigFile(file).read()
    return config.traffic.rollout


def test_it_is_replaced_with_the_rights_that_it_had(file: Path) -> None:
    before = file.stat().st_ino
    edit_model_config(file, "m", declare)
    assert declared(file) == ROLLOUT
    assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_ino != before) == (0o640, True)
    assert not file.with_name(".models.config.new").exists()
    before = file.stat().st_ino
    edit_model_config(file, "m", declare)
    assert file.stat().st_ino == before  # there was nothing to change


def test_what_a_link_leads_to_is_changed(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "sub" / "link.config"
    link.parent.mkdir()
    link.symlink_to(file)
    edit_model_config(link, "m", declare)
    assert link.is_symlink()
    assert declared(file) == ROLLOUT


def test_nobody_s_change_is_lost_where_many_come_at_once(file: Path) -> None:
    def label(number: int) -> None:
        edit_model_config(file, "m", lambda config: replace(config, labels={**config.labels, f"l{number}": number}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(label, range(40)))
    [config] = ModelConfigFile(file).read()
    assert config.labels == {f"l{number}": number for number in range(40)}


def test_of_a_rollout_the_furthest_step_and_the_first_reason_stay(file: Path) -> None:
    edit_model_config(file, "m", declare)
    ahead, back = replace(ROLLOUT, step=2, step_time=1200), RolledBack(Reason.LATENCY, "slow", 1300)
    assert write_rollout(file, "m", ahead) == declared(file) == ahead
    assert write_rollout(file, "m", replace(ROLLOUT, step=1, step_time=1100)) == ahead
    assert write_rollout(file, "m", replace(ROLLOUT, rolled_back=back)) == replace(ahead, rolled_back=back)
    later = RolledBack(Reason.ERROR_RATE, "failing", 1301)
    assert write_rollout(file, "m", replace(ahead, rolled_back=later)) == replace(ahead, rolled_back=back)
    other = replace(ROLLOUT, start_time=2000, step=3)
    assert write_rollout(file, "m", other) == declared(file) == replace(ahead, rolled_back=back)


def test_where_it_cannot_be_replaced_nothing_is_left_behind(file: Path) -> None:
    text = file.read_text()
    (file.with_name(".models.config.new")).mkdir()
    with pytest.raises(OSError, match="directory"):
        edit_model_config(file, "m", declare)
    assert file.read_text() == text
    file.write_text("rubbish")
    with pytest.raises(GatewayError, match=r"models\.config: .*text format"):
        edit_model_config(file, "m", declare)
