"""A share and how far it may be off."""

import math

Z_95 = 1.959964


def wilson(share: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """The ends of Wilson's score interval (1927) for `share` of `n` independent units; `z` 1.96 for 95 %.

    `share` may be a mean of fractions in [0, 1]: of all distributions in there, yes or no has the greatest spread, so
    that the interval is then rather too wide.
    """
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
