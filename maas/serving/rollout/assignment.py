"""Which fraction of the requests one belongs to: by its key always the same, else at random.

Fractions are laid one after the other over [0, 1), and a request is a point there:

    canary, 10 %    candidate [0, 0.1)    stable [0.1, 1)
    A/B test, 1:1   a [0, 0.5)            b [0.5, 1)

A canary's candidate is first: whoever gets it at 10 % gets it at 20 % as well.
"""

import hashlib
from collections.abc import Mapping


def point_of(model: str, rollout: str, key: bytes) -> float:
    """Returns a number in [0, 1) that depends on nothing but its arguments: BLAKE2b's first 53 bits over 2⁵³.

    Args:
        model: name of the model.
        rollout: name of the roll-out; another name deals users out again.
        key: what is known of the user.
    """
    parts = (model.encode(), rollout.encode(), key)
    content = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return (int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> 11) / 2**53


def role_at(point: float, fractions: Mapping[str, float]) -> str:
    """Returns the role whose fraction of [0, 1) holds a point.

    Args:
        point: in [0, 1).
        fractions: of the requests, by role, which sum to 1.

    Example:
        >>> role_at(0.05, {"candidate": 0.1, "stable": 0.9})
        'candidate'
    """
    end = 0.0
    last = ""
    for role, fraction in fractions.items():
        end += fraction
        if fraction:
            last = role
            if point < end:
                return role
    return last  # rounding left the sum below the point
