"""Whether a summary says what its own records say."""

TOLERANCE = 0.02
"""Share by which a summary's mean may differ from that of its records: rounding, and a request more at either end."""


def contradictions(figures: dict[str, tuple[float | None, float | None]]) -> list[str]:
    """What differs by more than the tolerance, with both values: `figures` are (the summary's, the records') by name.

    Counts must be equal; what one of them does not say is not held against the other.
    """
    return [
        f"{name}: the summary says {said:.6g}, the records {found:.6g}"
        for name, (said, found) in figures.items()
        if said is not None and found is not None and _differs(name, said, found)
    ]


def _differs(name: str, said: float, found: float) -> bool:
    if "count" in name:
        return said != found
    return abs(said - found) > TOLERANCE * max(abs(said), abs(found))
