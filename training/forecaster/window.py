"""How many past steps a forecaster sees where nobody says."""

from training.forecaster.split import TEST_SHARE

_FEWEST = 32
_MOST_FOR_LENGTH = 128
_DAYS = (24, 48, 96)  # steps in a day of hours, of half and of quarter hours
_WEEKS = 4


def usual_window(length: int, period: int) -> int:
    """What suits a series: two and a half seasons, and a longer past where there is much of it to learn from.

    Where the season is a day, a week and a day, if four weeks lie before the test part.
    """
    before_test = int(length * (1 - TEST_SHARE))
    if period in _DAYS and before_test >= _WEEKS * 7 * period:
        return 8 * period
    return max(_FEWEST, 5 * period // 2, min(before_test // 16, _MOST_FOR_LENGTH))


def possible_window(wanted: int, length: int, *, horizon: int, period: int) -> int:
    """The window, shortened for a short series: half of what lies before the test part, less the horizon.

    It keeps a season and two steps, if these fit.
    """
    half = int(length * (1 - TEST_SHARE)) // 2
    season = period + 2 if period + 2 <= half else 0
    return min(wanted, max(half - horizon, season))
