from collections.abc import Mapping

import pytest

from service.core.tasks import Forecaster, ImageClassifier, Task, describe
from service.core.tensors import Signature, Tensor, TensorSpec
from tests.fakes import CLASSIFIER, DOUBLER, FORECASTER, LABELS, LEVELS, FakeModel


async def described(model: FakeModel, signatures: Mapping[str, Signature] | None = None) -> Task | None:
    async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return model.functions[signature.name](inputs)

    return await describe(model.signatures if signatures is None else signatures, run)


async def test_an_image_classifier_is_known_by_its_signatures() -> None:
    assert await described(CLASSIFIER) == ImageClassifier(4, 4, 1, LABELS, accepts_encoded=True)


async def test_it_takes_no_files_without_the_signature_for_them() -> None:
    only = {"serving_default": CLASSIFIER.signatures["serving_default"]}
    assert await described(CLASSIFIER, only) == ImageClassifier(4, 4, 1, LABELS, accepts_encoded=False)


async def test_a_forecaster_is_known_by_its_signature() -> None:
    assert await described(FORECASTER) == Forecaster(6, 1, 2, 3, LEVELS)


@pytest.mark.parametrize(
    "images",
    [TensorSpec("uint8", (None, 4, 4, 1)), TensorSpec("float32", (None, None, 4, 1)), TensorSpec("float32", None)],
)
async def test_others_are_served_but_are_neither(images: TensorSpec) -> None:
    outputs = CLASSIFIER.signatures["serving_default"].outputs
    assert (
        await described(CLASSIFIER, {"serving_default": Signature("serving_default", "", {"images": images}, outputs)})
        is None
    )
    assert await described(DOUBLER) is None
    assert await described(DOUBLER, {}) is None
