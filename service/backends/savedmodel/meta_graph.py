"""What the file of a SavedModel holds for serving, read without its graph. Imports tensorflow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from service.backends.savedmodel.fields import contents, fields
from service.backends.savedmodel.layout import MODEL_FILES

_SERVE = "serve"
_META_GRAPHS = 2
_GRAPH_DEF, _OBJECT_GRAPH_DEF = 2, 7
_INIT_SIGNATURE = "__saved_model_init_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_ASSETS_COLLECTION = "saved_model_assets"


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """A graph, and what is said of it.

    Attributes:
        graph_def: The graph, serialised.
        definition: The ``MetaGraphDef``, without the graph and without the objects that it was made of.
    """

    graph_def: memoryview
    definition: Any

    @classmethod
    def read(cls, folder: Path) -> "MetaGraph":
        """Reads the graph for serving of the version in a folder.

        Raises:
            OSError: When the file cannot be read.
            ValueError: When it is broken.
            RuntimeError: When it holds no such graph.
        """
        found = []
        file = next((file for name in MODEL_FILES if (file := folder / name).exists()), folder / MODEL_FILES[0])
        try:
            for serialized in contents(memoryview(_serialized(file)), _META_GRAPHS):
                meta_graph = cls._parsed(serialized)
                tags = set(meta_graph.definition.meta_info_def.tags)
                if tags == {_SERVE}:
                    return meta_graph
                found.append(tags)
        except (DecodeError, text_format.ParseError, ValueError) as error:
            raise ValueError(f"Cannot parse file {file.name}: {error}") from error
        raise RuntimeError(f"no graph is tagged {_SERVE!r} and nothing else; found: {found or 'none'}")

    @classmethod
    def _parsed(cls, serialized: memoryview) -> "MetaGraph":
        graph_def, others = memoryview(b""), []
        for field in fields(serialized):
            if field.number == _GRAPH_DEF:
                graph_def = field.content
            elif field.number != _OBJECT_GRAPH_DEF:
                others.append(field.whole)
        return cls(graph_def, meta_graph_pb2.MetaGraphDef.FromString(b"".join(others)))

    @property
    def initializer(self) -> str:
        """The operation that is to be run before the first call; empty for none.

        Raises:
            RuntimeError: When several are named.
        """
        signatures, collections = self.definition.signature_def, self.definition.collection_def
        if _INIT_SIGNATURE in signatures:
            names = [signatures[_INIT_SIGNATURE].outputs[_INIT_SIGNATURE].name]
        else:
            names = next(
                (list(collections[key].node_list.value) for key in _INIT_COLLECTIONS if key in collections), [""]
            )
        if len(names) != 1:
            raise RuntimeError(f"expected one operation that initialises the model, got {len(names)}")
        return str(names[0]).partition(":")[0]

    @property
    def assets(self) -> dict[str, str]:
        """Names of files in the folder ``assets``, by the tensors that take their paths."""
        found = self.definition.asset_file_def
        if not found and _ASSETS_COLLECTION in self.definition.collection_def:
            packed = self.definition.collection_def[_ASSETS_COLLECTION].any_list.value
            found = [meta_graph_pb2.AssetFileDef.FromString(each.value) for each in packed]
        return {asset.tensor_info.name: asset.filename for asset in found}


def _serialized(file: Path) -> bytes:
    """Returns the ``SavedModel``; one in text form is read by one call that lets no other thread run."""
    data = file.read_bytes()
    if file.name == MODEL_FILES[0]:
        return data
    parsed: bytes = text_format.Parse(data, saved_model_pb2.SavedModel()).SerializeToString()
    return parsed
