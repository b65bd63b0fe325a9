"""Finds pictures that look alike though their files differ: saved once more, in another size, or a little brighter.

A difference hash, the signs of the changes of brightness along the rows of 8x9 cells (Krawetz, "Kind of Like That",
2013), finds candidates; cells of 16x16 decide. What was cropped, turned or mirrored is not found.
"""

import numpy as np
from numpy.typing import NDArray

_SIDE = 16  # cells on a side
_MOST_BITS = 6  # of 64, in which hashes of pictures that look alike differ
_MOST_LEVELS = 16  # of 255, by which their cells differ
_FLAT = 2  # levels: a smaller change is none
_ROWS = 256  # at a time
_MOST_CANDIDATES = 1000  # plain pictures have the hash of many


def alike(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Finds for each image one of the others that looks like it.

    Args:
        images: uint8 [N,H,W,C].
        others: uint8 [M,H,W,C].

    Returns:
        int64 [N], the index of the first such one; -1 where there is none.
    """
    hashes, cells = _seen(images)
    other_hashes, other_cells = _seen(others)
    found = np.full(len(images), -1, np.int64)
    for start in range(0, len(images), _ROWS):
        distance = np.bitwise_count(hashes[start : start + _ROWS, np.newaxis] ^ other_hashes)
        for row, near in enumerate(distance <= _MOST_BITS, start):
            candidates = np.flatnonzero(near)[:_MOST_CANDIDATES]
            apart = np.abs(other_cells[candidates] - cells[row]).max(axis=1, initial=0)
            if len(same := candidates[apart <= _MOST_LEVELS]):
                found[row] = same[0]
    return found


def _seen(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Hashes, uint64 [N], and cells, float32 [N,256]."""
    hashes, cells = [], []
    for start in range(0, len(images), _ROWS):
        grey = images[start : start + _ROWS].mean(axis=-1)
        few = _means(_means(grey, 8, axis=1), 9, axis=2)
        signs = few[:, :, 1:] > few[:, :, :-1] + _FLAT
        hashes.append(np.packbits(signs.reshape(len(grey), 64), axis=1).view(np.uint64)[:, 0])
        cells.append(_means(_means(grey, _SIDE, axis=1), _SIDE, axis=2).reshape(len(grey), -1).astype(np.float32))
    return np.concatenate(hashes), np.concatenate(cells)


def _means(values: NDArray[np.float64], count: int, *, axis: int) -> NDArray[np.float64]:
    """Means over parts of an axis, as equal as they can be; a shorter axis repeats what it has."""
    size = values.shape[axis]
    starts = np.arange(count) * size // count
    ends = np.maximum((np.arange(count) + 1) * size // count, starts + 1)
    sums = np.insert(np.cumsum(values, axis=axis), 0, 0, axis=axis)
    lengths = np.expand_dims(ends - starts, tuple(other for other in range(values.ndim) if other != axis))
    means: NDArray[np.float64] = (np.take(sums, ends, axis=axis) - np.take(sums, starts, axis=axis)) / lengths
    return means
