"""Options of a model in the operator's file."""

from pathlib import Path

import pytest

from service.codecs.model_config import encode_reload, parse_model_configs
from service.codecs.model_config_text import format_model_configs
from service.core.batch_policy import AS_THE_SERVER, BatchMode, BatchOverrides, ServingOptions, ShapeMode
from service.errors import ErrorKind, GatewayError


def file_of(options: str) -> str:
    return f'model_config_list {{ config {{ name: "m" base_path: "m" tensorgate {{ {options} }} }} }}'


def parse(options: str) -> ServingOptions:
    [config] = parse_model_configs(file_of(options), folder=Path("/models"))
    return config.options


WHOLE = """
    batching: OFF max_batch_size: 32 allowed_batch_sizes: [8, 16, 32] max_queue_size: 9 shapes: GRAPH
    signatures { key: "classify" value { batching: ON max_queue_size: 5 } }
"""


def test_all_of_them_are_read_and_written_back() -> None:
    options = ServingOptions(
        ShapeMode.GRAPH,
        BatchOverrides(BatchMode.OFF, 32, (8, 16, 32), 9),
        {"classify": BatchOverrides(BatchMode.ON, max_queue_size=5)},
    )
    assert parse(WHOLE) == options
    [config] = parse_model_configs(file_of(WHOLE), folder=Path("/models"))
    [again] = parse_model_configs(format_model_configs([config]), folder=Path("/elsewhere"))
    assert again == config


def test_nothing_said_is_what_the_server_does() -> None:
    assert parse("") is AS_THE_SERVER
    assert "tensorgate" not in format_model_configs(parse_model_configs(file_of(""), folder=Path("/models")))


def test_tensorflow_serving_gets_none_of_them() -> None:
    [config] = encode_reload(parse_model_configs(file_of(WHOLE), folder=Path("/models"))).model_config_list.config
    assert not config.HasField("tensorgate")


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ("max_batch_size: -1", "config[0].tensorgate.max_batch_size"),
        ("max_queue_size: -1", "config[0].tensorgate.max_queue_size"),
        ("batching: 7", "config[0].tensorgate.batching"),
        ("shapes: 7", "config[0].tensorgate.shapes"),
        ("allowed_batch_sizes: [8, 4]", "config[0].tensorgate.allowed_batch_sizes"),
        (
            'signatures { key: "s" value { max_batch_size: -2 } }',
            "config[0].tensorgate.signatures[s].max_batch_size",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(options: str, where: str) -> None:
    with pytest.raises(GatewayError) as refused:
        parse(options)
    assert refused.value.kind is ErrorKind.INVALID_INPUT
    assert refused.value.violations[0].where == where
