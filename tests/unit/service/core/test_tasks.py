from collections.abc import Mapping

import numpy as np
import pytest

from service.core.tasks import Description, Forecaster, ImageClassifier, Run, Task, describe
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError
from tests.fakes import CLASSIFIER, DOUBLER, FORECASTER, LABELS, LEVELS, FakeModel

_OUTPUTS = CLASSIFIER.signatures["serving_default"].outputs


async def describe_fake(model: FakeModel, signatures: Mapping[str, Signature] | None = None) -> Description:
    async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return model.functions[signature.name](inputs)

    return await describe(model.signatures if signatures is None else signatures, run)


async def described(model: FakeModel, signatures: Mapping[str, Signature] | None = None) -> Task | None:
    found = await describe_fake(model, signatures)
    assert not found.doubt
    return found.task


async def test_an_image_classifier_is_known_by_its_signatures() -> None:
    assert await described(CLASSIFIER) == ImageClassifier(4, 4, 1, LABELS, accepts_encoded=True)


async def test_it_takes_no_files_without_the_signature_for_them() -> None:
    only = {"serving_default": CLASSIFIER.signatures["serving_default"]}
    assert await described(CLASSIFIER, only) == ImageClassifier(4, 4, 1, LABELS, accepts_encoded=False)


async def test_a_forecaster_is_known_by_its_signature() -> None:
    assert await described(FORECASTER) == Forecaster(6, 1, 2, 3, LEVELS)


def _signature(signature: Signature, **specs: TensorSpec) -> Signature:
    """Returns the signature with other inputs and outputs."""
    inputs = {name: specs.get(name, spec) for name, spec in signature.inputs.items()}
    outputs = {name: specs.get(name, spec) for name, spec in signature.outputs.items()}
    return Signature(signature.name, "", inputs, outputs)


@pytest.mark.parametrize(
    ("model", "specs", "doubt"),
    [
        (CLASSIFIER, {"images": TensorSpec("uint8", (None, 4, 4, 1))}, "images: expected float32 of rank 4"),
        (CLASSIFIER, {"images": TensorSpec("float32", (None, None, 4, 1))}, "got float32 [?, ?, 4, 1]"),
        (CLASSIFIER, {"images": TensorSpec("float32", None)}, "got float32 any shape"),
        (
            CLASSIFIER,
            {"classes": TensorSpec("int64", (None, 3))},
            "classes: expected string of rank 2, got int64 [?, 3]",
        ),
        (CLASSIFIER, {"classes": TensorSpec("string", (3,))}, "classes: expected string of rank 2, got string [3]"),
        (CLASSIFIER, {"scores": TensorSpec("float64", (None, 3))}, "scores: expected float32"),
        (FORECASTER, {"history": TensorSpec("float32", (None, None))}, "history: expected float32 of rank 2 or 3"),
        (FORECASTER, {"quantiles": TensorSpec("float32", (None, 3))}, "quantiles: expected float32 of rank 3"),
    ],
)
async def test_whatever_a_kind_does_not_have_makes_a_model_generic(
    model: FakeModel, specs: dict[str, TensorSpec], doubt: str
) -> None:
    found = await describe_fake(model, {"serving_default": _signature(model.signatures["serving_default"], **specs)})
    assert found.task is None
    assert doubt in found.doubt


@pytest.mark.parametrize(
    ("answer", "doubt"),
    [
        ({"classes": np.array([b"a", b"b"], object)}, "classes: expected string of rank 2 with a row"),
        ({"classes": np.array([[1, 2, 3]])}, "classes: expected string of rank 2"),
        ({"classes": np.array([[b"a"]], object)}, "classes: expected a label for each of 3 scores, got 1"),
        ({"scores": np.zeros((2, 3), np.float32)}, "scores: expected float32 of rank 2 with a row"),
    ],
)
async def test_an_answer_that_is_not_what_the_signature_promised_makes_it_generic(
    answer: dict[str, Tensor], doubt: str
) -> None:
    async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return CLASSIFIER.functions[signature.name](inputs) | answer

    unknown = {name: TensorSpec(spec.dtype, None) for name, spec in _OUTPUTS.items()}
    signature = _signature(CLASSIFIER.signatures["serving_default"], **unknown)
    found = await describe({"serving_default": signature}, run)
    assert found.task is None
    assert doubt in found.doubt


async def test_what_takes_no_zeros_is_generic_and_what_cannot_be_reached_is_no_finding() -> None:
    def refusing(kind: ErrorKind) -> Run:
        async def run(_: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            raise GatewayError(kind, "no")

        return run

    found = await describe(CLASSIFIER.signatures, refusing(ErrorKind.INVALID_INPUT))
    assert (found.task, found.doubt) == (None, "it does not take zeros: no")
    for kind in (ErrorKind.BACKEND_UNAVAILABLE, ErrorKind.NOT_READY):
        with pytest.raises(GatewayError):
            await describe(CLASSIFIER.signatures, refusing(kind))


async def test_others_are_served_but_are_neither_and_leave_no_doubt() -> None:
    absent: dict[str, Signature] = {}
    for signatures in (None, absent):
        found = await describe_fake(DOUBLER, signatures)
        assert (found.task, found.doubt) == (None, "")
