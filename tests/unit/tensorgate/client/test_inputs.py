"""Images and series as people have them, and as they travel."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tensorgate.client import images, series
from tensorgate.client.answers import Forecast
from tensorgate.client.errors import InvalidInput
from tests.processes import ROOT

SEVEN = ROOT / "examples" / "seven.png"


@pytest.mark.parametrize(
    "image", [SEVEN, str(SEVEN), SEVEN.read_bytes(), bytearray(SEVEN.read_bytes()), memoryview(SEVEN.read_bytes())]
)
def test_files_travel_as_they_are(image: Any) -> None:
    assert images.is_one(image)
    assert images.image_message(image, "x").encoded == SEVEN.read_bytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "F", "I;16", "YCbCr"])
def test_pictures_travel_as_files(mode: str) -> None:
    picture = Image.new(mode, (5, 4))
    sent = Image.open(io.BytesIO(images.image_message(picture, "x").encoded))
    assert (sent.format, sent.size) == ("PNG", (5, 4))


@pytest.mark.parametrize("image", [np.full((4, 4), 0.9), np.eye(4, dtype=np.float32), np.ones((4, 4), bool)])
def test_pixels_that_were_scaled_are_warned_of(image: Any) -> None:
    with pytest.warns(images.PixelRangeWarning, match="between 0 and 1"):
        images.image_message(image, "x")


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.eye(4, dtype=np.uint8), np.full((4, 4), 1.5), np.zeros((0, 4))])
def test_pixels_that_may_well_be_so_are_not(image: Any) -> None:
    with warnings.catch_warnings(action="error"):
        images.image_message(image, "x")


def test_pictures_keep_how_they_lie(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5, 4)).save(tmp_path / "x.jpg", exif=exif)
    with Image.open(tmp_path / "x.jpg") as picture:
        sent = Image.open(io.BytesIO(images.image_message(picture, "x").encoded))
    assert sent.getexif()[0x0112] == 6


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int64", "bool"])
@pytest.mark.filterwarnings("ignore::tensorgate.client.PixelRangeWarning")
def test_arrays_are_pixels(dtype: str) -> None:
    array = np.arange(24).reshape(4, 6).astype(dtype)[:, ::2]
    pixels = images.image_message(array, "x").pixels
    sent = list(pixels.bytes_values) if dtype == "uint8" else list(pixels.values)
    assert (list(pixels.shape), sent) == ([4, 3], array.ravel().tolist())


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (3, "expected a path, the bytes of a file, a picture of Pillow or an array of pixels, got int"),
        ("no such.png", "expected a file that can be read, got no such.png: No such file or directory"),
        ("a\0b", "expected a file that can be read"),
        (np.zeros((2, 4, 4, 1)), r"got an array of shape \[2, 4, 4, 1\]"),
        (np.zeros(4), r"got an array of shape \[4\]"),
        (np.array([["a"]]), "expected pixels that are numbers, got an array of <U1"),
    ],
)
def test_what_is_no_image_is_refused(image: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        images.image_message(image, "images[0]")


def test_an_array_of_images_is_several() -> None:
    assert not images.is_one(np.zeros((5, 4, 4, 1)))
    assert images.is_one(np.zeros((4, 4, 1)))


@pytest.mark.parametrize("given", [[1, 2.5, 3], (1, 2.5, 3), np.array([1, 2.5, 3]), pd.Series([1, 2.5, 3])])
def test_a_series_is_numbers(given: Any) -> None:
    assert series.is_one(given)
    assert list(series.series_message(given, "x").message.values) == [1, 2.5, 3]


def test_a_series_of_several_features_is_a_table() -> None:
    for given in (np.array([[1, 2], [3, 4], [5, 6]]), pd.DataFrame({"a": [1, 3, 5], "b": [2, 4, 6]})):
        message = series.series_message(given, "x").message
        assert (list(message.values), message.features) == ([1, 2, 3, 4, 5, 6], 2)


def test_several_series_are_a_list() -> None:
    assert not series.is_one([[1, 2], [3, 4]])
    assert not series.is_one([pd.Series([1.0]), np.array([1.0])])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["a"], "expected numbers, got list: could not convert"),
        ("sales.csv", "expected numbers, got str: could not convert string to float: 'sales.csv'"),
        ({"a": 1}, "expected numbers, got dict: float"),
        (np.zeros((2, 2, 2)), r"got an array of shape \[2, 2, 2\]"),
        (pd.Series([1, 2], index=[2, 1]), r"series\[0\].index: expected an index that grows"),
        (pd.Series([1, 2], index=[1, 1]), r"series\[0\].index: expected an index that grows"),
    ],
)
def test_what_is_no_series_is_refused(given: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        series.series_message(given, "series[0]")


def table(index: Any) -> pd.DataFrame:
    values = np.array([1, 2, 3], np.float32)
    return Forecast(values, {0.1: values - 1, 0.9: values + 1}, "steps", 7, index).to_pandas()


@pytest.mark.parametrize(
    ("index", "follows"),
    [
        (None, [1, 2, 3]),
        (pd.RangeIndex(2001, 2009, name="year"), [2009, 2010, 2011]),
        (pd.Index([0.5, 1.0, 1.5]), [2.0, 2.5, 3.0]),
        (pd.date_range("2024-01-31", periods=3, freq="ME"), pd.date_range("2024-04-30", periods=3, freq="ME").tolist()),
        (
            pd.DatetimeIndex(["2024-01-01", "2024-01-03", "2024-01-05"]),
            pd.date_range("2024-01-07", periods=3, freq="2D").tolist(),
        ),
        (pd.period_range("2024Q1", periods=3, freq="Q"), list(pd.period_range("2024Q4", periods=3, freq="Q"))),
    ],
)
def test_the_index_of_a_forecast_follows_that_of_the_series(index: Any, follows: list[Any]) -> None:
    answer = table(index)
    assert answer.index.tolist() == follows
    assert answer.columns.tolist() == ["forecast", "q0.1", "q0.9"]
    assert answer.index.name == ("step" if index is None else index.name)


@pytest.mark.parametrize(
    "index",
    [pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-05"]), pd.Index([1, 2, 4]), pd.Index(["a", "b", "c"])],
)
def test_nothing_follows_an_uneven_index(index: Any) -> None:
    with pytest.raises(InvalidInput, match=r"series.index: expected times or numbers at equal distances"):
        table(index)
