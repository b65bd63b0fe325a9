"""How a client stands with its limits, in headers: RateLimit and RateLimit-Policy.

Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/
"""

import math
from collections.abc import Sequence

from service.core.rate_limits import Quota

NAMES = ("ratelimit", "ratelimit-policy")


def quota_headers(quotas: Sequence[Quota]) -> list[tuple[bytes, bytes]]:
    """Returns the headers that say what each rate is, what is left of it, and in how many seconds there is more."""
    policies, states = [], []
    for quota in quotas:
        rate = quota.rate
        unit = "" if rate.unit == "requests" else f';qu="{rate.unit}"'
        policies.append(f'"{rate.name}";q={rate.quota}{unit};w={rate.window}')
        more = "" if quota.more_in is None else f";t={math.ceil(quota.more_in)}"
        states.append(f'"{rate.name}";r={quota.left}{more}')
    values = (", ".join(states), ", ".join(policies))
    return [(name.encode(), value.encode()) for name, value in zip(NAMES, values, strict=True)]
