"""What TensorFlow Serving reports of models: the states of their versions, and their signatures."""

from collections.abc import Mapping

from service.codecs.tensor_proto import dtype_number, encode_tensor
from service.core.call import Call
from service.core.model_version import ModelRef, ModelVersion
from service.core.tensors import Signature, TensorSpec
from service.core.visibility import Models
from service.errors import ErrorKind, GatewayError
from service.protocols.tfserving import wording
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as serving_pb

SIGNATURE_DEF = "signature_def"
"""The one metadata field that there is."""


def model_spec(version: ModelVersion, signature: str = "") -> serving_pb.ModelSpec:
    """Returns what an answer says of the model that gave it."""
    spec = serving_pb.ModelSpec()
    write_model_spec(spec, version, signature)
    return spec


def write_model_spec(spec: serving_pb.ModelSpec, version: ModelVersion, signature: str) -> None:
    """Writes the same into its place in an answer."""
    spec.name = version.name
    spec.version.value = version.version
    spec.signature_name = signature


def model_status(models: Models, wanted: ModelRef, call: Call) -> serving_pb.GetModelStatusResponse:
    """Returns the state of each version, the newest first, or of the one that is wanted; labels do not matter.

    Raises:
        GatewayError: MODEL_NOT_FOUND in upstream's words; FORBIDDEN.
    """
    if wanted.name in models.of(call):
        call.model = wanted.name
    versions = _versions(models, wanted, call)
    return serving_pb.GetModelStatusResponse(model_version_status=[_status(version) for version in versions])


def _versions(models: Models, wanted: ModelRef, call: Call) -> list[ModelVersion]:
    try:
        versions = models.of(call).versions(wanted.name)
        if wanted.version is None:
            return versions
        return [models.of(call).find(ModelRef(wanted.name, wanted.version))]
    except GatewayError as error:
        if error.kind is not ErrorKind.MODEL_NOT_FOUND:
            raise
        if wanted.version is None:
            text = f"Could not find any versions of model {wanted.name}"
        else:
            text = f"Could not find version {wanted.version} of model {wanted.name}"
        raise error.reworded(wording.shortened(text)) from None


def _status(version: ModelVersion) -> serving_pb.ModelVersionStatus:
    code = serving_pb.StatusProto.UNKNOWN if version.error else serving_pb.StatusProto.OK
    return serving_pb.ModelVersionStatus(
        version=version.version,
        state=version.state.value,
        status=serving_pb.StatusProto(error_code=code, error_message=version.error),
    )


def signature_map(version: ModelVersion) -> serving_pb.SignatureDefMap:
    """Returns all signatures of a version."""
    return serving_pb.SignatureDefMap(
        signature_def={name: signature_def(signature) for name, signature in version.signatures.items()}
    )


def signature_def(signature: Signature, *, with_defaults: bool = False) -> tf_pb.SignatureDef:
    """Returns a signature as the SavedModel has it; upstream lists defaults in errors, and not in metadata."""
    message = tf_pb.SignatureDef(
        inputs=_tensor_infos(signature.inputs),
        outputs=_tensor_infos(signature.outputs),
        method_name=signature.method_name,
    )
    if with_defaults:
        for name, value in signature.defaults.items():
            encode_tensor(value, message.defaults[name], as_content=False)
    return message


def _tensor_infos(specs: Mapping[str, TensorSpec]) -> dict[str, tf_pb.TensorInfo]:
    return {
        name: tf_pb.TensorInfo(name=spec.tensor_name, dtype=dtype_number(spec.dtype), tensor_shape=_shape(spec))
        for name, spec in specs.items()
    }


def _shape(spec: TensorSpec) -> tf_pb.TensorShapeProto:
    if spec.shape is None:
        return tf_pb.TensorShapeProto(unknown_rank=True)
    dims = [tf_pb.TensorShapeProto.Dim(size=-1 if size is None else size) for size in spec.shape]
    return tf_pb.TensorShapeProto(dim=dims)


def check_metadata_fields(fields: list[str]) -> None:
    """Refuses fields other than the one that there is.

    Raises:
        GatewayError: INVALID_INPUT in upstream's words.
    """
    if not fields:
        raise GatewayError(ErrorKind.INVALID_INPUT, "GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != SIGNATURE_DEF:
            text = wording.shortened(f"Metadata field {field} is not supported")
            raise GatewayError(ErrorKind.INVALID_INPUT, text)
