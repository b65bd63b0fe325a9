"""The engine: the one way from a decoded request to the backend, whatever protocol it came by."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.core.call import Call
from service.core.catalog import Catalog, ModelRef, ModelVersion
from service.core.ports import Backend
from service.core.signature import check_inputs
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, listed, shown


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What to run, in no protocol's terms.

    Attributes:
        version: An entry of the catalog, as `Engine.resolve` gave it.
        signature: Name of the signature.
        inputs: Tensors by input name.
    """

    version: ModelVersion
    signature: str
    inputs: Mapping[str, Tensor]


class Engine:
    """Resolves, checks and runs requests.

    Args:
        catalog: The models that there are.
        backend: What runs them.
        max_batch_rows: How many rows one request may have.
    """

    def __init__(self, *, catalog: Catalog, backend: Backend, max_batch_rows: int) -> None:
        self.catalog = catalog
        self._backend = backend
        self._max_batch_rows = max_batch_rows

    def attribute(self, name: str, call: Call) -> None:
        """Notes the model on the call, if there is one: what is refused before it is resolved counts as its too."""
        if name in self.catalog:
            call.model = name

    def resolve(self, wanted: ModelRef, call: Call) -> ModelVersion:
        """Finds the version that is to answer, and notes it on the call.

        Raises:
            GatewayError: MODEL_NOT_FOUND or NOT_READY.
        """
        version = self.catalog.resolve(wanted)
        call.model, call.version = version.name, version.version
        return version

    async def infer(self, request: InferenceRequest, call: Call) -> Mapping[str, Tensor]:
        """Checks the inputs against the signature and runs them, within the call's deadline.

        Returns:
            Tensors by output name.

        Raises:
            GatewayError: INVALID_INPUT, TOO_LARGE, TIMEOUT or what the backend raised.
        """
        with call.phase("validate"):
            signature = _signature(request)
            rows = check_inputs(signature, request.inputs)
            self.check_rows(rows, where="inputs")
        call.rows += rows
        with call.phase("execute"):
            async with call.deadline.enforced():
                return await self._backend.run(request.version, signature, request.inputs)

    def check_rows(self, rows: int, *, where: str) -> None:
        """Refuses more rows than one request may have.

        Raises:
            GatewayError: TOO_LARGE.
        """
        if rows > self._max_batch_rows:
            raise invalid_input(
                Violation(where, f"at most {self._max_batch_rows} rows (max_batch_rows)", f"{rows} rows"),
                kind=ErrorKind.TOO_LARGE,
            )


def finite(outputs: Mapping[str, Tensor], name: str) -> Tensor:
    """Returns an output of numbers.

    Raises:
        GatewayError: BACKEND_FAILED when there is a number in it that is not finite.
    """
    if not np.isfinite(outputs[name]).all():
        raise GatewayError(ErrorKind.BACKEND_FAILED, f"the model's {name} are not all finite numbers")
    return outputs[name]


def _signature(request: InferenceRequest) -> Signature:
    try:
        return request.version.signatures[request.signature]
    except KeyError:
        known = listed(sorted(request.version.signatures))
        violation = Violation("signature", f"one of {known}", shown(request.signature))
        raise GatewayError(ErrorKind.MODEL_NOT_FOUND, str(violation), [violation]) from None
