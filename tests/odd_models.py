"""SavedModels as few write them, by TensorFlow's own API of versions 1 and 2. Imports tensorflow."""

from pathlib import Path

from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2


def rewrite_as_text(version: Path) -> Path:
    """Has a version's graph as text, in place of the binary file."""
    binary = version / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(binary.read_bytes())
    (version / "saved_model.pbtxt").write_text(text_format.MessageToString(model))
    binary.unlink()
    return version
