"""The Open Inference Protocol over gRPC."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from grpc import aio

from service.core import call as calls
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.offload import INLINE_BYTES, offloaded
from service.core.recurring import StreamedMessage
from service.core.streams import OrderedStream
from service.core.tensors import byte_size
from service.errors import ErrorKind, GatewayError, OutdatedVersionError
from service.protocols.open_inference.errors import CODE
from service.protocols.open_inference.inference import Inference
from service.protocols.open_inference.models import ServedModels
from service.protocols.open_inference.rpc_messages import decode_request, encode_response, parameters_of
from service.protocols.open_inference.rpc_shortcut import InferShortcut
from service.wire import open_inference_pb2 as pb

_FINAL = "triton_final_response"
"""The parameter of a stream's response that says that no more come for its request."""
_ERROR_MODE = "triton_grpc_error"
"""Metadata: ``true`` has the first error end the stream, as its status."""
_UNKNOWN = {ErrorKind.MODEL_NOT_FOUND, ErrorKind.LABEL_NOT_FOUND}

Context = aio.ServicerContext[Any, Any]


class OpenInferenceRpc:
    """The handlers of the Open Inference Protocol.

    Args:
        models: Answers every question but inference.
        inference: Answers inference.
        stream: Answers streams of requests.
        bounds: Of messages.
        shortcut: Is told of requests that may recur.

    Attributes:
        name: The service's, on the wire.
        descriptor: Describes it.
        codes: Its table of errors.
        quiet: Methods for probes.
        shortcuts: Of its methods, by name.
    """

    name = "inference.GRPCInferenceService"
    descriptor = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    codes = CODE
    quiet = frozenset({"ServerLive", "ServerReady"})

    def __init__(
        self,
        *,
        models: ServedModels,
        inference: Inference,
        stream: OrderedStream,
        bounds: InputBounds,
        shortcut: InferShortcut,
    ) -> None:
        self._models = models
        self._inference = inference
        self._stream = stream
        self._bounds = bounds
        self.shortcuts = {"ModelInfer": shortcut, "ModelStreamInfer": shortcut}
        self._shortcut = shortcut

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:  # noqa: N802
        """Answers ServerLive."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: N802
        """Answers ServerReady."""
        return pb.ServerReadyResponse(ready=self._models.ready())

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802
        """Answers ModelReady; a model that does not exist is not ready, as clients take an error for a failure."""
        try:
            ready = self._models.model_ready(request.name, request.version, calls.current())
        except GatewayError as error:
            if error.kind not in _UNKNOWN:
                raise
            ready = False
        return pb.ModelReadyResponse(ready=ready)

    async def ServerMetadata(  # noqa: N802
        self, request: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        """Answers ServerMetadata."""
        return pb.ServerMetadataResponse(**self._models.server_metadata())

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """Answers ModelMetadata."""
        metadata = self._models.model_metadata(request.name, request.version, calls.current())
        return pb.ModelMetadataResponse(**metadata)

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802
        """Answers ModelInfer."""
        response = pb.ModelInferResponse()
        await self._infer(request, response, calls.current())
        return response

    def ModelStreamInfer(  # noqa: N802
        self, requests: AsyncIterator[StreamedMessage], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Answers ModelStreamInfer as Triton does a model that has one response for each request.

        Source of what a response says beside its tensors, and of the metadata: Triton's ``stream_infer_handler.cc``.
        """
        metadata = dict(context.invocation_metadata() or ())
        first_error_ends_it = metadata.get(_ERROR_MODE) == "true"

        async def answered(message: StreamedMessage, call: Call) -> pb.ModelStreamInferResponse:
            response = pb.ModelStreamInferResponse()
            if message.known is not None:
                with suppress(OutdatedVersionError):  # the long way finds out which version answers now
                    answer = await self._shortcut.answer(message.known, message.data, call)
                    response.infer_response.MergeFromString(answer)
                    response.infer_response.parameters[_FINAL].bool_param = True
                    return response
            if len(message.data) <= INLINE_BYTES:
                call.message = message.data
            await self._infer(_request(message), response.infer_response, call)
            response.infer_response.parameters[_FINAL].bool_param = True
            return response

        def failed(message: StreamedMessage, error: GatewayError, call: Call) -> pb.ModelStreamInferResponse:
            if first_error_ends_it:
                raise error
            return _failure(_request(message), error)

        return self._stream.answers(requests, answered, failed)

    async def _infer(self, request: pb.ModelInferRequest, response: pb.ModelInferResponse, call: Call) -> None:
        """Runs a request and writes the answer into the response."""
        version = self._models.resolve(request.model_name, request.model_version, call)
        with call.phase("decode"):
            message = await offloaded(request.ByteSize(), lambda: decode_request(request, bounds=self._bounds))
        outputs = await self._inference.run(version, message, call)
        self._shortcut.remember(request, version, message, call)
        with call.phase("encode"):
            size = byte_size(outputs.values())
            await offloaded(size, lambda: encode_response(response, version, message, outputs))

    async def RepositoryIndex(  # noqa: N802
        self, request: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        """Answers RepositoryIndex."""
        _refuse_repository(request.repository_name)
        return pb.RepositoryIndexResponse(models=self._models.index(only_ready=request.ready))

    async def RepositoryModelLoad(  # noqa: N802
        self, request: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        """Answers RepositoryModelLoad."""
        _refuse_repository(request.repository_name)
        await self._models.load(request.model_name, parameters_of(request.parameters), calls.current())
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802
        self, request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        """Answers RepositoryModelUnload."""
        _refuse_repository(request.repository_name)
        await self._models.unload(request.model_name, parameters_of(request.parameters), calls.current())
        return pb.RepositoryModelUnloadResponse()


def _request(message: StreamedMessage) -> pb.ModelInferRequest:
    return pb.ModelInferRequest.FromString(message.data) if message.parsed is None else message.parsed


def _failure(request: pb.ModelInferRequest, error: GatewayError) -> pb.ModelStreamInferResponse:
    """Returns what says that a request of a stream has failed, and which one it was."""
    response = pb.ModelStreamInferResponse(error_message=error.message)
    infer = response.infer_response
    infer.id, infer.model_name, infer.model_version = request.id, request.model_name, request.model_version
    infer.parameters[_FINAL].bool_param = True
    return response


def _refuse_repository(name: str) -> None:
    if name:
        raise GatewayError(ErrorKind.NOT_SUPPORTED, "repository_name: there is one repository, and it has no name")
