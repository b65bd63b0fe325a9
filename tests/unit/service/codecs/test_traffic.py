"""Splits and rollouts in the operator's file: read, written back, refused, and changed in place."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.codecs.model_config import encode_reload, parse_model_configs
from service.codecs.model_config_edit import with_change
from service.codecs.model_config_text import format_model_configs
from service.core.batch_policy import AS_THE_SERVER
from service.core.model_config import ModelConfig
from service.core.rollout import PLAIN, Guards, Reason, RolledBack, Rollout, Shadow, Traffic
from service.core.traffic_split import UNNAMED, Split
from service.errors import ErrorKind, GatewayError

SPLIT = 'splits { key: "canary" value { weights { key: 7 value: 95 } weights { key: 8 value: 5 } } }'
ROLLOUT = "rollout { stable_version: 7 canary_version: 8 start_time: 1000 }"


def file_of(options: str, policy: str = "all {}", more: str = "") -> str:
    policy = f"model_version_policy {{ {policy} }}"
    return f'model_config_list {{ config {{ name: "m" base_path: "m" {policy} {more} tensorgate {{ {options} }} }} }}'


def parse(text: str) -> ModelConfig:
    [config] = parse_model_configs(text, folder=Path("/models"))
    return config


def test_a_split_is_read_and_written_back() -> None:
    config = parse(file_of(SPLIT))
    assert config.traffic == Traffic({"canary": Split({7: 95, 8: 5})})
    assert config.options is AS_THE_SERVER  # requests of it are batched at no more cost
    assert parse(format_model_configs([config])) == config
    unnamed = parse(file_of(SPLIT.replace("canary", "")))
    assert set(unnamed.traffic.splits) == {UNNAMED}


def test_a_rollout_is_read_with_defaults_and_written_back() -> None:
    config = parse(file_of(ROLLOUT))
    assert config.traffic.rollout == Rollout(stable=7, canary=8, start_time=1000)
    assert parse(format_model_configs([config])) == config
    whole = Rollout(
        stable=7,
        canary=8,
        label="stable",
        step_weights=(10, 100),
        step_seconds=5.5,
        start_time=1000,
        guards=Guards(7, None, 2.0, None, 0.02),
        step=1,
        step_time=1010.25,
        rolled_back=RolledBack(Reason.DRIFT, 'it "drifts"\n', 1020),
    )
    config = replace(config, traffic=Traffic(rollout=whole))
    assert parse(format_model_configs([config])) == config


def test_a_shadow_is_read_and_written_back() -> None:
    config = parse(file_of("shadow { version: 8 }"))
    assert config.traffic.shadow == Shadow(8, 1.0)
    assert parse(format_model_configs([config])) == config
    elsewhere = parse(file_of('shadow { version: 8 share: 0.1 address: "[::1]:8500" }', policy="latest {}"))
    assert elsewhere.traffic.shadow == Shadow(8, 0.1, "[::1]:8500")
    assert parse(format_model_configs([elsewhere])) == elsewhere


def test_nothing_said_is_nothing_and_tensorflow_serving_gets_nothing() -> None:
    assert parse(file_of("")).traffic is PLAIN
    [config] = encode_reload([parse(file_of(f"{SPLIT} {ROLLOUT}"))]).model_config_list.config
    assert not config.HasField("tensorgate")
    assert not config.version_labels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (file_of(SPLIT, policy="latest {}"), "latest { num_versions: 2 }, all {}, or specific"),
        (file_of(SPLIT, policy="specific { versions: 8 }"), "specific without 7"),
        (file_of(ROLLOUT, policy="latest {}"), "tensorgate.rollout: expected a model_version_policy that serves"),
        (
            file_of(SPLIT, more='version_labels { key: "canary" value: 7 }'),
            "a label without an entry in version_labels",
        ),
        (file_of('splits { key: "canary" value {} }'), "versions with weights"),
        (file_of('splits { key: "c" value { weights { key: 7 value: 0 } } }'), "one of them above 0"),
        (file_of("rollout { stable_version: 7 canary_version: 7 }"), "two versions"),
        (file_of("rollout { stable_version: -7 canary_version: 7 }"), "two versions"),
        (file_of(ROLLOUT.replace("start", "step_weights: [5, 5] start")), "ascending"),
        (file_of(ROLLOUT.replace("start", "step_weights: [0, 5] start")), "ascending"),
        (file_of(ROLLOUT.replace("start", "step_weights: 101 start")), "ascending"),
        (file_of(ROLLOUT.replace("start", "step: 4 start")), "rollout.step"),
        (file_of(ROLLOUT.replace("start", "step_seconds: -1 start")), "rollout.step_seconds"),
        (file_of(ROLLOUT.replace("1000", "nan")), "rollout.start_time"),
        (file_of(ROLLOUT.replace("start", "guards { min_requests: 0 } start")), "guards.min_requests"),
        (file_of(ROLLOUT.replace("start", "guards { max_p99_ratio: 0.5 } start")), "guards.max_p99_ratio"),
        (file_of(ROLLOUT.replace("start", "guards { max_drift_psi: nan } start")), "guards.max_drift_psi"),
        (file_of(ROLLOUT.replace("start", 'rolled_back { reason: "x" } start')), "rolled_back.reason"),
        (file_of(f"{SPLIT.replace('canary', '')} {ROLLOUT}"), "rollout.label"),
        (file_of("shadow { version: 8 }", policy="specific { versions: 7 }"), "specific without 8"),
        (file_of("shadow { version: -8 }"), "shadow.version"),
        (file_of("shadow { version: 8 share: 1.5 }"), "shadow.share"),
        (file_of('shadow { version: 8 address: "http://x" }'), "shadow.address"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_cure(text: str, words: str) -> None:
    with pytest.raises(GatewayError) as caught:
        parse(text)
    assert caught.value.kind is ErrorKind.INVALID_INPUT
    assert words in caught.value.message


HEAD = "# Of the shop.\n\n# Ask before you change it.\n"
TWO = HEAD + file_of("batching: OFF")[:-1] + ' config { name: "n" base_path: "/n" } } # the other one'


def test_a_change_leaves_all_else_as_it_is() -> None:
    split = Traffic({"": Split({7: 1})})
    changed = with_change(TWO, "m", lambda config: replace(config, labels={"stable": 7}, traffic=split))
    assert changed.startswith(HEAD)
    before, after = (parse_model_configs(text, folder=Path()) for text in (TWO, changed))
    assert after == [replace(before[0], labels={"stable": 7}, traffic=split), before[1]]
    again = with_change(changed, "m", lambda config: replace(config, labels={}, traffic=PLAIN))
    assert parse_model_configs(again, folder=Path()) == before
    assert with_change(TWO, "m", lambda config: config) == TWO


def test_a_change_that_would_lose_something_or_be_refused_is_not_made() -> None:
    rolled = Traffic(rollout=Rollout(stable=7, canary=8))
    for text, model, kind in (
        (TWO, "o", ErrorKind.MODEL_NOT_FOUND),
        (TWO, "n", ErrorKind.INVALID_INPUT),  # it serves one version
        (TWO.replace('"/n"', '"/n" logging_config {}'), "m", ErrorKind.MALFORMED),
    ):
        with pytest.raises(GatewayError) as caught:
            with_change(text, model, lambda config: replace(config, traffic=rolled))
        assert caught.value.kind is kind
