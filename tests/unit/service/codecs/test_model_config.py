from pathlib import Path

import pytest

from service.codecs.model_config import decode_reload, parse_model_configs
from service.core.model_config import ModelConfig
from service.core.versions import VersionPolicy
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_serving_pb2 as serving_pb

FOLDER = Path("/etc/tensorgate")


def parsed(text: str) -> list[ModelConfig]:
    return parse_model_configs(text, folder=FOLDER)


def model(text: str) -> str:
    return f'model_config_list {{ config {{ name: "m" base_path: "/m" {text} }} }}'


def test_a_file_as_operators_write_them() -> None:
    text = """
    # Served side by side.
    model_config_list {
      config {
        name: 'digits'
        base_path: '/models/digits'
        model_platform: 'tensorflow'
        model_version_policy { specific { versions: 41 versions: 42 } }
        version_labels { key: 'stable' value: 41 }
        version_labels { key: 'canary' value: 42 }
      }
      config { name: "sunspots" base_path: "relative/sunspots" }
    }
    """
    assert parsed(text) == [
        ModelConfig(
            "digits",
            Path("/models/digits"),
            VersionPolicy(newest=None, only=frozenset({41, 42})),
            {"stable": 41, "canary": 42},
        ),
        ModelConfig("sunspots", FOLDER / "relative/sunspots", VersionPolicy(newest=1), {}),
    ]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", VersionPolicy(newest=1)),
        ("model_version_policy {}", VersionPolicy(newest=1)),
        ("model_version_policy { latest {} }", VersionPolicy(newest=1)),
        ("model_version_policy { latest { num_versions: 3 } }", VersionPolicy(newest=3)),
        ("model_version_policy { all {} }", VersionPolicy(newest=None)),
        ("model_version_policy: { all: {} }", VersionPolicy(newest=None)),
        ("model_version_policy { specific { versions: [1, 3] } }", VersionPolicy(newest=None, only=frozenset({1, 3}))),
    ],
)
def test_policies(text: str, policy: VersionPolicy) -> None:
    assert parsed(model(text))[0].policy == policy


@pytest.mark.parametrize(
    "text", ["logging_config { sampling_config { sampling_rate: 0.1 } }", "model_type: TENSORFLOW", "some_day: 'x'"]
)
def test_fields_that_are_not_known_here_are_passed_over(text: str) -> None:
    assert parsed(model(text)) == parsed(model(""))


def test_a_list_may_be_empty() -> None:
    assert parsed("model_config_list {}") == []


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("model_config_list {", ErrorKind.MALFORMED, "a ModelServerConfig in text format"),
        ("rubbish", ErrorKind.MALFORMED, "a ModelServerConfig in text format"),
        (model("name: 3"), ErrorKind.MALFORMED, "1:"),
        (model("model_version_policy { latest { num_versions: -1 } }"), ErrorKind.MALFORMED, "num_versions"),
        (model("tensorgate { batching: 99999999999999999999 }"), ErrorKind.MALFORMED, "99999999999999999999"),
        ("", ErrorKind.INVALID_INPUT, "config: expected model_config_list, got nothing"),
        ("custom_model_config {}", ErrorKind.INVALID_INPUT, "config: expected model_config_list"),
        (model("model_platform: 'torch'"), ErrorKind.INVALID_INPUT, "config[0].model_platform: expected 'tensorflow'"),
        (model("model_version_policy { specific {} }"), ErrorKind.INVALID_INPUT, "specific: expected versions"),
        (model("version_labels { key: '' value: 1 }"), ErrorKind.INVALID_INPUT, "config[0].version_labels"),
        ("model_config_list { config { base_path: '/m' } }", ErrorKind.INVALID_INPUT, "config[0].name"),
        ("model_config_list { config { name: 'm' } }", ErrorKind.INVALID_INPUT, "config[0].base_path"),
        (
            "model_config_list { config { name: 'a/b' base_path: '/m' } }",
            ErrorKind.INVALID_INPUT,
            "config[0].name: expected a name without slashes",
        ),
        *(
            (
                f"model_config_list {{ config {{ name: '{name}' base_path: '/m' }} }}",
                ErrorKind.INVALID_INPUT,
                "[0].name",
            )
            for name in (".", "..", "a:b", r"a\nb", r"a\x1bb", r"a\302\205", r"a\x7f")
        ),
        (
            f"model_config_list {{ config {{ name: 'm' base_path: '/{'é' * 2048}' }} }}",
            ErrorKind.TOO_LARGE,
            "4097 bytes",
        ),
        (
            "model_config_list { config { name: 'm' base_path: '/m' } config { name: 'm' base_path: '/n' } }",
            ErrorKind.INVALID_INPUT,
            "config[1].name: expected each model once",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, kind: ErrorKind, words: str) -> None:
    with pytest.raises(GatewayError) as caught:
        parsed(text)
    assert caught.value.kind is kind
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["...", ".a", "a.b", "a b", "ä", "x" * 5000])
def test_other_names_are_names(name: str) -> None:
    assert parsed(f"model_config_list {{ config {{ name: '{name}' base_path: '/m' }} }}")[0].name == name


def reload(count: int, *, labels: int = 0, versions: int = 0) -> serving_pb.ModelServerConfig:
    message = serving_pb.ModelServerConfig()
    for number in range(count):
        config = message.model_config_list.config.add(name=f"m{number}", base_path="/m")
        config.version_labels.update({f"l{label}": 1 for label in range(labels)})
        config.model_version_policy.specific.versions.extend(range(1, versions + 1))
    return message


def test_a_reload_within_the_limits_is_read() -> None:
    assert len(decode_reload(reload(1000, versions=1))) == 1000
    (config,) = decode_reload(reload(1, labels=100, versions=1000))
    assert len(config.labels) == 100
    assert config.policy.only == frozenset(range(1, 1001))


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (reload(1001), "config"),
        (reload(1, labels=101), "config[0].version_labels"),
        (reload(1, versions=1001), "config[0].model_version_policy.specific"),
    ],
)
def test_a_reload_of_too_many_of_anything_is_refused(message: serving_pb.ModelServerConfig, where: str) -> None:
    with pytest.raises(GatewayError) as caught:
        decode_reload(message)
    assert (caught.value.kind, caught.value.violations[0].where) == (ErrorKind.TOO_LARGE, where)


def test_a_field_that_is_not_known_is_passed_over_and_logged(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    text = 'model_config_list { config { name: "a" base_path: "/a" version_label { key: "b" value: 1 } } }'
    [config] = parse_model_configs(text, folder=tmp_path)
    assert (config.name, config.labels) == ("a", {})
    assert "version_label" in caplog.text
