"""Asks for the class of a picture, so many times a second, of whichever gateway is ready; ends with 1 if one was lost.

Run in a pod of the image tensorgate-full: ``python load.py ADDRESS SECONDS RATE``. Each request comes when it is due,
has a deadline of 6 seconds, and is tried again by the client as docs/client.md says.
"""

import asyncio
import random
import sys
import time
from collections import Counter

import numpy as np

from tensorgate.client import TensorgateError
from tensorgate.client.aio import Client

_DEADLINE = 6.0
_SIDE = 8


async def main(address: str, seconds: float, rate: float) -> int:
    """Asks for that long; returns the exit status."""
    pictures = np.random.default_rng(0).integers(0, 256, (50, _SIDE, _SIDE)).astype(np.uint8)
    outcomes: Counter[str] = Counter()
    # A list of one name: of all that it stands for, those are asked that say that they serve.
    async with Client([address], timeout=_DEADLINE) as client:
        digits = client.model("digits")
        expected = [(await digits.classify(picture)).label for picture in pictures]

        async def ask(number: int) -> None:
            index = number % len(pictures)
            try:
                label = (await digits.classify(pictures[index])).label
            except TensorgateError as error:
                outcomes[f"lost: {type(error).__name__}"] += 1
            else:
                outcomes["right" if label == expected[index] else "wrong"] += 1

        due, end, number = time.monotonic(), time.monotonic() + seconds, 0
        async with asyncio.TaskGroup() as group:
            while due < end:
                due += random.expovariate(rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(ask(number))
                number += 1
    sys.stdout.write(f"{outcomes.total()} requests: {dict(outcomes)}\n")
    return 0 if set(outcomes) == {"right"} else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))))
