"""The engine: the one way from a decoded request to the backend, whatever protocol it came by."""

import time
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter

import numpy as np

from service.core.batch_policy import ShapeMode
from service.core.batching import Batcher
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.columns import as_columns, in_shape
from service.core.drift import DriftMonitor
from service.core.model_version import ModelRef, ModelVersion
from service.core.offload import INLINE_BYTES
from service.core.rate_limits import RateLimits
from service.core.record import Record, Recorder
from service.core.request import InferenceRequest
from service.core.residence import StandbyError
from service.core.rights import Access
from service.core.signature import check_inputs, check_outputs, rows_if_valid
from service.core.tensors import Signature, Tensor, byte_size
from service.core.visibility import Models
from service.errors import OK, ErrorKind, GatewayError, OutdatedVersionError, Violation, listed, shown

_COPIES = 3
"""Times that an answer is held: as tensors, as a message, and as its bytes. JSON is counted in addition."""
_ASKED_CHARACTERS = 100
"""How much of the name of an unknown model goes to the log."""


class Engine:
    """Resolves, checks and runs requests.

    Args:
        models: Those that each call may see and use.
        batcher: Runs them on the backend.
        bounds: How large what one request holds may be.
        recorder: Keeps some of the requests, where that is wanted.
        drift: Looks at what is asked and answered; by default nothing does.
        limits: What clients may ask of each model, where that is limited.

    Attributes:
        drift: As given.
        mirror: Takes requests, all their outputs, and their calls, for models with a shadow; by default nothing does.
        check_files: Looks at the image files of requests that nobody has looked at; by default nothing does.
    """

    def __init__(
        self,
        *,
        models: Models,
        batcher: Batcher,
        bounds: InputBounds,
        recorder: Recorder | None = None,
        drift: DriftMonitor | None = None,
        limits: RateLimits | None = None,
    ) -> None:
        self.drift = drift or DriftMonitor()
        self._models = models
        self._bounds = bounds
        self._batcher = batcher
        self._recorder = recorder
        self._limits = limits
        self.check_files: Callable[[InferenceRequest], Awaitable[None]] | None = None
        self.mirror: Callable[[InferenceRequest, Mapping[str, Tensor], Call], None] | None = None

    def note(self, name: str, call: Call) -> None:
        """Notes the model on the call, if there is one of that name, so that early refusals count as the model's."""
        if name in self._models.of(call):
            call.model = name
        else:
            call.asked = name[:_ASKED_CHARACTERS]

    def attribute(self, name: str, call: Call) -> None:
        """Notes the model on the call, and admits the call where its client's use of the model is limited.

        May be called again for the same call, which is admitted once.

        Raises:
            GatewayError: RATE_LIMITED, or TOO_LARGE for a request that never is admitted.
        """
        self.note(name, call)
        if self._limits is not None and call.lease is None and call.model is not None:
            call.lease = self._limits.lease(call.client, call.model, call.size)
            if call.lease is not None:
                call.lease.begin()

    def address(self, wanted: ModelRef, call: Call) -> None:
        """Checks the names that a request gives, and notes the model on the call.

        Raises:
            GatewayError: TOO_LARGE for a name that is too long; what `attribute` raises.
        """
        self.attribute(wanted.name, call)
        self._bounds.check_name(wanted.name, where="model")
        if wanted.label is not None:
            self._bounds.check_name(wanted.label, where="label")

    def resolve(self, wanted: ModelRef, call: Call) -> ModelVersion:
        """Finds the version that is to answer, and notes it on the call, which keeps it in memory.

        Raises:
            GatewayError: MODEL_NOT_FOUND, LABEL_NOT_FOUND, FORBIDDEN or NOT_READY; what `address` raises.
            StandbyError: It is not in memory, and is to be run, or was never loaded.
        """
        self.address(wanted, call)
        version = self._models.of(call).resolve(wanted, call)
        call.version = version.version
        residence = version.residence
        if residence is not None and residence is not call.residence:
            if residence.is_loaded:
                call.use(residence)
            elif call.access is Access.INFER or not version.is_described:
                raise StandbyError(residence)
        return version

    def labels(self, name: str, call: Call) -> Mapping[str, int]:
        """Returns the versions of a model by label; none of a model that the call may not see."""
        return self._models.of(call).labels(name)

    def signature(self, version: ModelVersion, name: str) -> Signature:
        """Returns a signature of the version.

        Raises:
            GatewayError: SIGNATURE_NOT_FOUND; TOO_LARGE for a name that is too long.
        """
        try:
            return version.signatures[name]
        except KeyError:
            self._bounds.check_name(name, where="signature")
            known = listed(sorted(version.signatures)) or "none"
            reason = version.unservable.get(name)
            got = shown(name) if reason is None else f"{shown(name)}, which cannot be served: {reason}"
            violation = Violation("signature", f"one of {known}", got)
            raise GatewayError(ErrorKind.SIGNATURE_NOT_FOUND, str(violation), [violation]) from None

    def request(
        self,
        version: ModelVersion,
        signature: Signature,
        inputs: Mapping[str, Tensor],
        outputs: tuple[str, ...] = (),
        *,
        call: Call,
    ) -> InferenceRequest:
        """Checks what a request brings against the signature; inputs with a default may be left out.

        Numbers in another shape than the column that the signature asks for are made one, where its rows are known not
        to depend on each other. Any other shape is refused, but where an operator leaves shapes to the model's graph.

        Args:
            version: As `resolve` gave it.
            signature: One of the version's.
            inputs: Tensors by input name.
            outputs: Names of the outputs that are wanted; all of them when it is empty.
            call: The call that this is part of.

        Raises:
            GatewayError: INVALID_INPUT with a violation for each thing that is wrong, TOO_LARGE, or RATE_LIMITED.
        """
        begun = perf_counter()
        bounds = self._bounds
        for name, tensor in inputs.items():
            bounds.check_name(name, where="inputs")
            if tensor.size > bounds.max_tensor_elements or not tensor.size:
                bounds.check_shape(tensor.shape, where=f"inputs.{name}")
        shape, alone = None, False
        rows = rows_if_valid(signature, inputs)
        if rows is None:
            if self._models.options(version.name).shapes is ShapeMode.GRAPH:
                rows, alone = check_inputs(signature, inputs, shapes=False), True
            else:
                if signature.name not in version.unbatched and (made := as_columns(signature, inputs)):
                    inputs, shape = made
                rows = check_inputs(signature, inputs)
        if outputs:
            check_outputs(signature, outputs)
        bounds.check_rows(rows, where="inputs")
        if call.lease is not None:
            call.lease.take_rows(rows)
        call.rows += rows
        call.spent("validate", begun)
        inputs = signature.with_defaults(inputs)
        return InferenceRequest(version, signature, inputs, rows, outputs, shape, alone)

    def reason_against_batching(self, version: ModelVersion, signature: Signature) -> str:
        """Returns why requests of a signature are neither merged nor split; empty where they are."""
        return self._batcher.reason_against(version, signature)

    async def run(
        self, version: ModelVersion, signature: str, inputs: Mapping[str, Tensor], call: Call
    ) -> Mapping[str, Tensor]:
        """Checks inputs against a signature and runs it; returns all outputs by name. Image files have been checked.

        Raises:
            GatewayError: What `signature`, `request` and `infer` raise.
        """
        found = self.signature(version, signature)
        return await self._infer(self.request(version, found, inputs, call=call), call)

    async def infer(self, request: InferenceRequest, call: Call) -> Mapping[str, Tensor]:
        """Runs a request. The transport holds it to the call's deadline.

        Returns:
            Tensors by output name: those that are wanted, in their order.

        Raises:
            GatewayError: What the backend raised, OVERLOADED, or TOO_LARGE for image files, and for an answer.
        """
        if self.check_files is not None and request.version.task is not None:
            await self.check_files(request)
        return await self._infer(request, call)

    async def _infer(self, request: InferenceRequest, call: Call) -> Mapping[str, Tensor]:
        recorder = self._recorder
        if recorder is None or not recorder.chooses():
            outputs = await self._batcher.run(request, call)
        else:
            outputs = await self._recorded(recorder, request, call)
        if request.version.reference is not None:
            self.drift.observe(request, outputs)
        if self.mirror is not None:
            self.mirror(request, outputs, call)
        if request.shape is not None:
            outputs = in_shape(outputs, request.rows, request.shape)
        if request.outputs:
            outputs = {name: outputs[name] for name in request.outputs}
        if (size := byte_size(outputs.values())) > INLINE_BYTES:
            call.hold(_COPIES * size)
        return outputs

    async def _recorded(self, recorder: Recorder, request: InferenceRequest, call: Call) -> Mapping[str, Tensor]:
        """Runs a request, and has it recorded as the model saw it, unless it was given up."""
        try:
            outputs = await self._batcher.run(request, call)
        except OutdatedVersionError:  # it is tried again
            raise
        except GatewayError as error:
            recorder.record(_record(request, call, error.kind, None))
            raise
        wanted = {name: outputs[name] for name in request.outputs} if request.outputs else outputs
        recorder.record(_record(request, call, OK, wanted))
        return outputs


def _record(request: InferenceRequest, call: Call, code: str, outputs: Mapping[str, Tensor] | None) -> Record:
    return Record(
        model=request.version.name,
        signature=request.signature.name,
        inputs=request.inputs,
        outputs=outputs,
        wanted=request.outputs,
        code=str(code),
        version=request.version.version,
        method=call.method,
        request_id=call.request_id,
        time=time.time(),
        seconds=call.elapsed(),
    )


def finite(outputs: Mapping[str, Tensor], name: str) -> Tensor:
    """Returns an output of numbers.

    Raises:
        GatewayError: BACKEND_FAILED when there is a number in it that is not finite.
    """
    if not np.isfinite(outputs[name]).all():
        raise GatewayError(ErrorKind.BACKEND_FAILED, f"the model's {name} are not all finite numbers")
    return outputs[name]
