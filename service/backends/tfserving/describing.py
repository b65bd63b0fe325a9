"""What a version takes and gives, as a replica tells it."""

from google.protobuf.message import DecodeError
from grpc import aio

from service.backends.tfserving.connection import CallError
from service.backends.tfserving.failures import failure_of
from service.backends.tfserving.replica import Key, Replica
from service.codecs.signature_def import decode_signature
from service.core.tensors import Signature
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_serving_pb2 as pb

_FIELD = "signature_def"


async def signatures_on(replica: Replica, key: Key, *, seconds: float) -> dict[str, Signature]:
    """Returns the signatures of a version that can be served, by name.

    Raises:
        GatewayError: When the replica does not answer, or tells of none.
    """
    spec = pb.ModelSpec(name=key[0])
    spec.version.value = key[1]
    request = pb.GetModelMetadataRequest(model_spec=spec, metadata_field=[_FIELD])
    try:
        answer = await replica.connection.ask("GetModelMetadata", request, pb.GetModelMetadataResponse, seconds=seconds)
        definitions = pb.SignatureDefMap.FromString(answer.metadata[_FIELD].value).signature_def
    except aio.AioRpcError as error:
        raise failure_of(error).error from None
    except CallError as failed:
        raise failed.failure.error from None
    except DecodeError:
        raise GatewayError(ErrorKind.BACKEND_FAILED, "its metadata cannot be parsed") from None
    decoded = (decode_signature(name, definitions[name]) for name in sorted(definitions))
    signatures = {signature.name: signature for signature in decoded if signature is not None}
    if not signatures:
        raise GatewayError(ErrorKind.BACKEND_FAILED, "its metadata tell of no signature that can be served")
    return signatures
