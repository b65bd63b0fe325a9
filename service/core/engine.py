"""The engine: the one way from a decoded request to the backend, whatever protocol it came by."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.core.batching import Batcher
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.catalog import Catalog, ModelRef, ModelVersion
from service.core.signature import check_inputs, check_outputs
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError, Violation, listed, shown


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What to run, in no protocol's terms.

    Attributes:
        version: An entry of the catalog, as `Engine.resolve` gave it.
        signature: Name of the signature.
        inputs: Tensors by input name.
        outputs: Names of the outputs that are wanted; all of them when it is empty.
    """

    version: ModelVersion
    signature: str
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...] = ()


class Engine:
    """Resolves, checks and runs requests.

    Args:
        catalog: The models that there are.
        batcher: Runs them on the backend.
        bounds: How large what one request holds may be.
    """

    def __init__(self, *, catalog: Catalog, batcher: Batcher, bounds: InputBounds) -> None:
        self.catalog = catalog
        self.bounds = bounds
        self._batcher = batcher

    def attribute(self, name: str, call: Call) -> None:
        """Notes the model on the call, if there is one: what is refused before it is resolved counts as its too."""
        if name in self.catalog:
            call.model = name

    def address(self, wanted: ModelRef, call: Call) -> None:
        """Checks the names that a request gives, and notes the model on the call.

        Raises:
            GatewayError: TOO_LARGE for a name that is too long.
        """
        self.bounds.check_name(wanted.name, where="model")
        if wanted.label is not None:
            self.bounds.check_name(wanted.label, where="label")
        self.attribute(wanted.name, call)

    def resolve(self, wanted: ModelRef, call: Call) -> ModelVersion:
        """Finds the version that is to answer, and notes it on the call.

        Raises:
            GatewayError: MODEL_NOT_FOUND, LABEL_NOT_FOUND or NOT_READY; TOO_LARGE for a name that is too long.
        """
        self.address(wanted, call)
        version = self.catalog.resolve(wanted)
        call.version = version.version
        return version

    def signature(self, version: ModelVersion, name: str) -> Signature:
        """Returns a signature of the version.

        Raises:
            GatewayError: SIGNATURE_NOT_FOUND; TOO_LARGE for a name that is too long.
        """
        try:
            return version.signatures[name]
        except KeyError:
            self.bounds.check_name(name, where="signature")
            known = listed(sorted(version.signatures)) or "none"
            violation = Violation("signature", f"one of {known}", shown(name))
            raise GatewayError(ErrorKind.SIGNATURE_NOT_FOUND, str(violation), [violation]) from None

    async def infer(self, request: InferenceRequest, call: Call) -> Mapping[str, Tensor]:
        """Checks the inputs against the signature and runs them. The transport holds it to the call's deadline.

        Returns:
            Tensors by output name, those that are wanted, in their order.

        Raises:
            GatewayError: SIGNATURE_NOT_FOUND, INVALID_INPUT, TOO_LARGE or what the backend raised.
        """
        with call.phase("validate"):
            signature = self.signature(request.version, request.signature)
            rows = self._check(signature, request)
        outputs = await self.run(request.version, signature, request.inputs, rows, call)
        return {name: outputs[name] for name in request.outputs} if request.outputs else outputs

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], rows: int, call: Call
    ) -> Mapping[str, Tensor]:
        """Runs inputs that were found right, which have so many rows; returns all outputs by name.

        Raises:
            GatewayError: What the backend raised.
        """
        call.rows += rows
        inputs = {**signature.defaults, **inputs} if signature.defaults else inputs
        return await self._batcher.run(version, signature, inputs, rows, call)

    def _check(self, signature: Signature, request: InferenceRequest) -> int:
        bounds = self.bounds
        for name, tensor in request.inputs.items():
            bounds.check_name(name, where="inputs")
            if tensor.size > bounds.max_tensor_elements or not tensor.size:
                bounds.check_shape(tensor.shape, where=f"inputs.{name}")
        rows = check_inputs(signature, request.inputs)
        if request.outputs:
            check_outputs(signature, request.outputs)
        bounds.check_rows(rows, where="inputs")
        return rows


def finite(outputs: Mapping[str, Tensor], name: str) -> Tensor:
    """Returns an output of numbers.

    Raises:
        GatewayError: BACKEND_FAILED when there is a number in it that is not finite.
    """
    if not np.isfinite(outputs[name]).all():
        raise GatewayError(ErrorKind.BACKEND_FAILED, f"the model's {name} are not all finite numbers")
    return outputs[name]
