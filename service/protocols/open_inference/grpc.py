"""The Open Inference Protocol over gRPC."""

from time import perf_counter
from typing import TYPE_CHECKING, Any

from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.offload import offloaded
from service.core.residence import StandbyError
from service.core.rights import Access
from service.core.tensors import byte_size
from service.errors import ErrorKind, GatewayError
from service.protocols.open_inference.errors import CODES
from service.protocols.open_inference.grpc_messages import decode_request, encode_response, parameters_of
from service.protocols.open_inference.inference import Inference
from service.protocols.open_inference.messages import apply_timeout
from service.protocols.open_inference.models import ServedModels
from service.seam.grpc import GrpcService, Handle, method_of, stream_of
from service.wire import open_inference_pb2 as pb

if TYPE_CHECKING:
    from service.seam.method import StreamMethod

NAME = "inference.GRPCInferenceService"

_DESCRIPTOR = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
_FINAL = "triton_final_response"
"""The parameter of a stream's response that says that no more come for its request."""
_ERROR_MODE = b"triton_grpc_error"
"""Metadata: ``true`` has the first error end the stream, as its status."""
_UNKNOWN = {ErrorKind.MODEL_NOT_FOUND, ErrorKind.LABEL_NOT_FOUND}


class OpenInferenceGrpc:
    """The handlers of the Open Inference Protocol.

    Args:
        models: Answers all requests but inference.
        inference: Answers inference.
        bounds: Of messages.
    """

    def __init__(self, *, models: ServedModels, inference: Inference, bounds: InputBounds) -> None:
        self._models = models
        self._inference = inference
        self._bounds = bounds

    def service(self) -> GrpcService:
        """Returns the service with its methods."""
        probes: dict[str, Handle] = {"ServerLive": self.server_live, "ServerReady": self.server_ready}
        unary: dict[str, tuple[Handle, Access]] = {
            "ModelReady": (self.model_ready, Access.AUTHENTICATED),
            "ServerMetadata": (self.server_metadata, Access.AUTHENTICATED),
            "ModelMetadata": (self.model_metadata, Access.READ),
            "ModelInfer": (self.model_infer, Access.INFER),
            "RepositoryIndex": (self.repository_index, Access.READ),
            "RepositoryModelLoad": (self.repository_model_load, Access.CONTROL),
            "RepositoryModelUnload": (self.repository_model_unload, Access.CONTROL),
        }
        stream: StreamMethod[Any, Any] = stream_of(
            NAME, _DESCRIPTOR, "ModelStreamInfer", self.model_stream_infer, self.stream_failed, access=Access.INFER
        )
        methods = {
            name: method_of(NAME, _DESCRIPTOR, name, handle, access=access) for name, (handle, access) in unary.items()
        }
        for name, handle in probes.items():
            methods[name] = method_of(NAME, _DESCRIPTOR, name, handle, is_probe=True, access=Access.PUBLIC)
        return GrpcService(NAME, {**methods, "ModelStreamInfer": stream}, _DESCRIPTOR, CODES)

    async def server_live(self, request: pb.ServerLiveRequest, call: Call) -> pb.ServerLiveResponse:
        """Answers ServerLive."""
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, request: pb.ServerReadyRequest, call: Call) -> pb.ServerReadyResponse:
        """Answers ServerReady."""
        return pb.ServerReadyResponse(ready=self._models.ready())

    async def model_ready(self, request: pb.ModelReadyRequest, call: Call) -> pb.ModelReadyResponse:
        """Answers ModelReady; a model that does not exist is not ready, as clients take an error for a failure."""
        try:
            ready = self._models.model_ready(request.name, request.version, call)
        except GatewayError as error:
            if error.kind not in _UNKNOWN:
                raise
            ready = False
        return pb.ModelReadyResponse(ready=ready)

    async def server_metadata(self, request: pb.ServerMetadataRequest, call: Call) -> pb.ServerMetadataResponse:
        """Answers ServerMetadata."""
        return pb.ServerMetadataResponse(**self._models.server_metadata())

    async def model_metadata(self, request: pb.ModelMetadataRequest, call: Call) -> pb.ModelMetadataResponse:
        """Answers ModelMetadata."""
        metadata = self._models.model_metadata(request.name, request.version, call)
        return pb.ModelMetadataResponse(**metadata)

    async def model_infer(self, request: pb.ModelInferRequest, call: Call) -> pb.ModelInferResponse:
        """Answers ModelInfer."""
        response = pb.ModelInferResponse()
        await self._infer(request, response, call)
        return response

    async def model_stream_infer(self, request: pb.ModelInferRequest, call: Call) -> pb.ModelStreamInferResponse:
        """Answers a message of ModelStreamInfer as Triton does for a model that has one response for each request.

        Source of what a response says beside its tensors, and of the metadata: Triton's ``stream_infer_handler.cc``.
        """
        response = pb.ModelStreamInferResponse()
        await self._infer(request, response.infer_response, call)
        response.infer_response.parameters[_FINAL].bool_param = True
        return response

    def stream_failed(
        self, request: pb.ModelInferRequest, error: GatewayError, call: Call
    ) -> pb.ModelStreamInferResponse:
        """Returns what says that a message has failed, and which one it was; raises where that is to end the stream."""
        if call.metadata.get(_ERROR_MODE) == b"true":
            raise error
        response = pb.ModelStreamInferResponse(error_message=error.message)
        infer = response.infer_response
        infer.id, infer.model_name, infer.model_version = request.id, request.model_name, request.model_version
        infer.parameters[_FINAL].bool_param = True
        return response

    async def _infer(self, request: pb.ModelInferRequest, response: pb.ModelInferResponse, call: Call) -> None:
        """Runs a request and writes the answer into the response."""
        try:
            version = self._models.resolve(request.model_name, request.model_version, call)
        except StandbyError:
            apply_timeout(parameters_of(request.parameters, bounds=self._bounds), call)  # loading is part of it
            raise
        begun = perf_counter()
        message = await offloaded(call.size, lambda: decode_request(request, bounds=self._bounds))
        call.spent("decode", begun)
        outputs = await self._inference.run(version, message, call)
        begun = perf_counter()
        size = byte_size(outputs.values())
        await offloaded(size, lambda: encode_response(response, version, message, outputs))
        call.spent("encode", begun)

    async def repository_index(self, request: pb.RepositoryIndexRequest, call: Call) -> pb.RepositoryIndexResponse:
        """Answers RepositoryIndex."""
        _refuse_repository(request.repository_name)
        return pb.RepositoryIndexResponse(models=self._models.index(call, only_ready=request.ready))

    async def repository_model_load(
        self, request: pb.RepositoryModelLoadRequest, call: Call
    ) -> pb.RepositoryModelLoadResponse:
        """Answers RepositoryModelLoad."""
        _refuse_repository(request.repository_name)
        await self._models.load(request.model_name, parameters_of(request.parameters, bounds=self._bounds), call)
        return pb.RepositoryModelLoadResponse()

    async def repository_model_unload(
        self, request: pb.RepositoryModelUnloadRequest, call: Call
    ) -> pb.RepositoryModelUnloadResponse:
        """Answers RepositoryModelUnload."""
        _refuse_repository(request.repository_name)
        await self._models.unload(request.model_name, parameters_of(request.parameters, bounds=self._bounds), call)
        return pb.RepositoryModelUnloadResponse()


def _refuse_repository(name: str) -> None:
    if name:
        raise GatewayError(ErrorKind.NOT_SUPPORTED, "repository_name: there is one repository, and it has no name")
