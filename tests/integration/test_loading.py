"""What a SavedModel needs before its first call, in the forms that TensorFlow's releases wrote; and what goes on while
one is loaded."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from service.backends.savedmodel import session as sessions
from service.backends.savedmodel.loaded import LoadedModel
from service.core.model_version import State
from service.errors import GatewayError
from tests import zoo_models
from tests.questions import Question
from tests.real_server import serving_models
from tests.speakers import SPEAKERS

v1 = tf.compat.v1


@pytest.fixture(autouse=True, params=["known release", "other release"])
def release(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has sessions made in C++, and as TensorFlow's Python makes them."""
    if request.param == "other release":
        monkeypatch.setattr(sessions, "_KNOWN_RELEASES", ("0.",))


WORDS = np.array([b"two", b"one", b"three"], object)


def answered(folder: Path, **inputs: Any) -> dict[str, Any]:
    model = LoadedModel(folder)
    return model.run(model.signatures["serving_default"], inputs)


def _table(vocabulary: Path) -> Any:
    vocabulary.write_text("one\ntwo\n")
    rows = tf.lookup.TextFileInitializer(
        str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    return tf.lookup.StaticHashTable(rows, -1)


def save_table(folder: Path, vocabulary: Path) -> None:
    """Saves a model that numbers words by a file among its assets."""
    module = tf.Module()
    module.table = _table(vocabulary)
    spec = tf.TensorSpec([None], tf.string, name="x")
    number = tf.function(lambda x: {"y": module.table.lookup(x)}).get_concrete_function(x=spec)
    tf.saved_model.save(module, str(folder), signatures=number)


def save_old_table(folder: Path, vocabulary: Path) -> None:
    """Saves the same as TensorFlow 1 did, with a variable beside the table."""
    with tf.Graph().as_default():
        table = _table(vocabulary)
        x = v1.placeholder(tf.string, [None])
        offset = v1.get_variable("offset", initializer=np.int64(10), use_resource=False)
        y = table.lookup(x) + offset
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
            builder = v1.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(
                session,
                ["serve"],
                {"serving_default": signature},
                assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                main_op=v1.tables_initializer(),
            )
            builder.save()


def save_large(folder: Path, variables: int) -> None:
    module = tf.Module()
    module.all = [tf.Variable([float(number)]) for number in range(variables)]
    spec = tf.TensorSpec([None], tf.float32, name="x")
    scaled = tf.function(lambda x: {"y": x * tf.add_n(module.all)}).get_concrete_function(x=spec)
    tf.saved_model.save(module, str(folder), signatures=scaled)


def test_a_table_is_filled_from_the_assets_beside_the_model(tmp_path: Path) -> None:
    save_table(tmp_path / "saved", tmp_path / "words.txt")
    (tmp_path / "words.txt").unlink()
    (tmp_path / "saved").rename(tmp_path / "elsewhere")
    assert list(answered(tmp_path / "elsewhere", x=WORDS)["y"]) == [1, 0, -1]


def test_a_table_and_variables_of_tensorflow_1(tmp_path: Path) -> None:
    save_old_table(tmp_path / "saved", tmp_path / "words.txt")
    (tmp_path / "words.txt").unlink()
    (tmp_path / "saved").rename(tmp_path / "elsewhere")
    assert list(answered(tmp_path / "elsewhere", x=WORDS)["y"]) == [11, 10, 9]


def test_many_variables_have_their_values(tmp_path: Path) -> None:
    save_large(tmp_path, 200)
    assert list(answered(tmp_path, x=np.ones(1, np.float32))["y"]) == [sum(range(200))]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda graph: graph.meta_info_def.tags.append("train"), "no graph is tagged 'serve'"),
        (lambda graph: graph.graph_def.node.add(name="odd", op="NoSuchOperation"), "NoSuchOperation"),
        (lambda graph: graph.graph_def.node.add(name="odd", op="Identity", input=["nothing"]), "nothing"),
        (lambda graph: graph.saver_def.ClearField("restore_op_name"), ""),
    ],
)
def test_a_model_that_is_broken_is_told_why(tmp_path: Path, spoil: Any, reason: str) -> None:
    save_large(tmp_path, 1)
    file = tmp_path / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    spoil(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())
    with pytest.raises(GatewayError) as raised:
        LoadedModel(tmp_path)
    assert reason in raised.value.message


def test_half_a_file_is_no_model(tmp_path: Path) -> None:
    save_large(tmp_path, 1)
    file = tmp_path / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(GatewayError, match=r"Cannot parse file saved_model\.pb"):
        LoadedModel(tmp_path)


async def test_other_models_are_answered_while_a_large_one_is_loaded_and_replaced(tmp_path: Path) -> None:
    zoo_models.save_versions(tmp_path / "models" / "versions", 1)
    save_large(tmp_path / "large", 500)
    question = Question("versions", {"x": np.zeros(1, np.float32)})
    async with serving_models(tmp_path / "models", poll_seconds=0.05) as server:
        catalog = server.runtime.catalog

        def served() -> list[int]:
            versions = catalog.versions("large") if "large" in catalog.names() else []
            return [each.version for each in versions if each.state is State.AVAILABLE]

        for version in (1, 2):
            partial = tmp_path / "models" / "large" / ".partial"
            shutil.copytree(tmp_path / "large", partial)
            partial.rename(partial.with_name(str(version)))
            async with asyncio.timeout(60):
                while served() != [version]:
                    for speaker in SPEAKERS.values():
                        said = await speaker.ask(server, question)
                        assert (said.code, list(said.outputs["y"])) == ("ok", [1])
