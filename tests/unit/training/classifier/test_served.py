"""What is made of a trained network: its temperature, and how unlike the known an image is."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from training.classifier import served as serving
from training.classifier.augmentation import augmented
from training.classifier.evaluate import calibration
from training.classifier.foreign import foreign, refusals
from training.classifier.ood import class_distance
from training.classifier.served import answers, served
from training.classifier.split import Part, Parts
from training.classifier.temperature import temperature
from training.errors import TrainingError


def _honest(count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits [N,4] whose softmax are the probabilities of the labels."""
    generator = np.random.default_rng(0)
    logits = log_softmax(generator.normal(size=(count, 4)) * 2, axis=1)
    return logits, np.array([generator.choice(4, p=np.exp(row)) for row in logits])


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_factor(factor: float) -> None:
    logits, labels = _honest(4000)
    assert temperature(logits * factor, labels) == pytest.approx(factor, rel=0.06)
    before = calibration(softmax(logits * factor, axis=1), labels).error
    after = calibration(softmax(logits * factor / temperature(logits * factor, labels), axis=1), labels).error
    assert after < 0.03
    assert after <= before


def test_the_temperature_has_bounds_where_everything_or_nothing_is_right() -> None:
    logits = np.eye(3)[np.arange(30) % 3] * 4
    assert temperature(logits, np.arange(30) % 3) == pytest.approx(0.2, rel=0.01)
    assert temperature(logits, (np.arange(30) + 1) % 3) == pytest.approx(5, rel=0.01)


def test_the_distance_is_that_of_mahalanobis() -> None:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(5, 5))
    labels = np.arange(3000) % 3
    centres = generator.normal(size=(3, 5)) * 10
    features = (generator.normal(size=(3000, 5)) @ mixing + centres[labels]).astype(np.float32)
    unseen = (generator.normal(size=(2000, 5)) @ mixing + centres[np.arange(2000) % 3]).astype(np.float32)
    measured = keras.ops.convert_to_numpy(class_distance(features, labels, unseen=unseen)(unseen))
    assert (measured > 1).mean() == pytest.approx(0.01, abs=0.001)

    inverse = np.linalg.inv(mixing.T @ mixing)
    apart = unseen[:, np.newaxis] - centres
    expected = np.sqrt(np.einsum("nki,ij,nkj->nk", apart, inverse, apart).min(axis=1))
    ratio = measured / expected
    assert ratio.std() / ratio.mean() < 0.03


def test_the_distance_is_exact_where_classes_lie_far_apart() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(400) % 2
    features = (generator.normal(size=(400, 4)) + 20_000 * labels[:, np.newaxis]).astype(np.float32)
    distance = class_distance(features, labels, unseen=features)
    measured = keras.ops.convert_to_numpy(distance(features))
    placed, means = (features - distance._centre) @ distance._directions, distance._means.numpy()
    expected = np.linalg.norm(placed[:, np.newaxis] - means, axis=2).min(axis=1)
    np.testing.assert_allclose(measured, expected, rtol=1e-5)


def test_features_that_never_change_do_no_harm() -> None:
    features = np.zeros((40, 6), np.float32)
    features[:, 0] = np.random.default_rng(0).normal(size=40)
    distance = class_distance(features, np.arange(40) % 2, unseen=features)
    assert np.isfinite(keras.ops.convert_to_numpy(distance(features + 1))).all()


def _network() -> keras.Model:
    images = keras.Input((4, 4, 1), name="images")
    features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    return keras.Model(images, {"logits": keras.layers.Dense(2)(features), "features": features})


def _part(count: int, seed: int) -> Part:
    """Dark and bright pictures."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = generator.normal(60 + 130 * labels[:, None, None, None], 15, (count, 4, 4, 1)).clip(0, 255)
    return Part(images.astype(np.uint8), labels, np.arange(count))


def test_a_served_model_has_softened_scores_and_refuses_what_it_does_not_know() -> None:
    keras.utils.set_random_seed(0)
    network, parts = _network(), Parts(_part(300, 0), _part(100, 1), _part(100, 2))
    finished = served(network, parts)
    said = answers(finished.model, parts.test.images)
    logits = answers(network, parts.test.images)["logits"]
    np.testing.assert_allclose(said["scores"], softmax(logits / finished.temperature, axis=1), rtol=1e-5)
    assert said["ood_score"].shape == (100,)
    assert (said["ood_score"] > 1).mean() <= 0.06
    others = foreign(parts.test.images, letters=True)
    found = refusals(
        said["ood_score"], {name: answers(finished.model, each)["ood_score"] for name, each in others.items()}
    )
    assert found["noise"].auroc > 0.99
    assert found["noise"].refused > 0.9


def test_few_pictures_are_changed_at_a_time_and_each_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = []

    def watched(*arguments: Any, **options: Any) -> Any:
        pieces.append(augmented(*arguments, **options).numpy())
        return tf.constant(pieces[-1])

    monkeypatch.setattr(serving, "augmented", watched)
    served(_network(), Parts(_part(128, 0), _part(64, 1), _part(1, 2)))
    assert max(map(len, pieces)) == 64
    assert len({image.tobytes() for piece in pieces for image in piece}) == sum(map(len, pieces)) == 31 * 64


def test_a_network_whose_answers_are_not_finite_is_refused() -> None:
    network, parts = _network(), Parts(_part(20, 0), _part(10, 1), _part(10, 2))
    network.set_weights([np.full_like(weight, np.nan) for weight in network.get_weights()])
    with pytest.raises(TrainingError, match="the training diverged: the network's answer is not finite"):
        served(network, parts)


@pytest.mark.parametrize("shape", [(8, 8, 1), (12, 16, 3)])
def test_foreign_images_have_the_form_of_the_known(shape: tuple[int, int, int]) -> None:
    known = np.random.default_rng(0).integers(0, 100, (30, *shape), np.uint8)
    others = foreign(known, letters=True)
    assert set(others) == {"letters", "noise", "shuffled pixels"}
    assert "letters" not in foreign(known, letters=False)
    for images in others.values():
        assert images.dtype == np.uint8
        assert images.shape[1:] == shape
    np.testing.assert_array_equal(
        np.sort(others["shuffled pixels"].reshape(30, -1, shape[2]), axis=1),
        np.sort(known.reshape(30, -1, shape[2]), axis=1),
    )
    letters = others["letters"]
    assert len(letters) == 624
    assert (letters.reshape(len(letters), -1).max(axis=1) > 50).all()


def test_scores_of_foreign_images_are_compared_pair_by_pair() -> None:
    known = np.array([0.1, 0.2, 0.3], np.float32)
    found = refusals(known, {"far": np.array([2, 3], np.float32), "half": np.array([0.25, 1.5, 0.15], np.float32)})
    assert (found["far"].auroc, found["far"].refused) == (1.0, 1.0)
    assert found["half"].auroc == pytest.approx(6 / 9)
    assert found["half"].refused == pytest.approx(1 / 3)
