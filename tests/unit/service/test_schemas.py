"""The messages of the typed API."""

import pytest
from pydantic import ValidationError

from service.schemas import ClassifyRequest


def test_what_is_wrong_with_thousands_of_images_is_not_found_thousands_of_times() -> None:
    image = {f"unknown{index}": 1 for index in range(10)}
    with pytest.raises(ValidationError) as caught:
        ClassifyRequest.model_validate({"model": "m", "images": [image] * 5000})
    assert caught.value.error_count() == len(image)
