"""How many people each simulated company has, and what it is called."""

from dataclasses import dataclass
from typing import Final

SMALLEST: Final = 50
LARGEST: Final = 10_000
_FLAGSHIP_FROM: Final = 40_000
_STEP: Final = 0.78

_NAMES: Final = (
    "Acme", "Globex", "Initech", "Umbra", "Hooli", "Vandelay", "Stark", "Wayne", "Cyberdyne", "Soylent",
    "Tyrell", "Aperture", "Wonka", "Gringotts", "Oceanic", "Massive", "Monarch", "Nakatomi", "Octan", "Prestige",
    "Sirius", "Spacely", "Cogswell", "Sterling", "Tricell", "Virtucon", "Weyland", "Yoyodyne", "Zorin", "Bluth",
    "Dunder", "Gekko", "Kramerica", "Pendant", "Rekall", "Benthic",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CompanyPlan:
    """A company to be made: `domain` is under the reserved top-level name `.example`."""

    slug: str
    name: str
    domain: str
    size: int


def plan_companies(companies: int, people: int) -> tuple[CompanyPlan, ...]:
    """Names and sizes, largest first; the sizes add up to `people`.

    A company has 50 to 10,000 people (fewer only when `people` does not reach for 50 each). From 40,000 people on the
    first has exactly 10,000; the others fall off by a constant ratio, so that many are small.

    Raises ValueError when the numbers cannot be met.
    """
    if companies < 1:
        raise ValueError("at least one company is needed")
    if not companies <= people <= companies * LARGEST:
        raise ValueError(f"{companies} companies hold {companies} to {companies * LARGEST} people, not {people}")
    return tuple(
        CompanyPlan(slug, name, f"{slug}.example", size)
        for (slug, name), size in zip(_labels(companies), _sizes(companies, people), strict=True)
    )


def _labels(companies: int) -> list[tuple[str, str]]:
    labels = [(name.lower(), name) for name in _NAMES[:companies]]
    labels += [(f"company{number}", f"Company {number}") for number in range(len(labels) + 1, companies + 1)]
    return labels


def _sizes(companies: int, people: int) -> list[int]:
    floor = min(SMALLEST, people // companies)
    if people < _FLAGSHIP_FROM or companies == 1:
        return _spread(companies, people, floor)
    rest = _spread(companies - 1, people - LARGEST, min(floor, (people - LARGEST) // (companies - 1)))
    return [LARGEST, *rest]


def _spread(companies: int, people: int, floor: int) -> list[int]:
    """Shares by falling weights above `floor`; what exceeds the largest size goes to those with room, in order."""
    weights = [_STEP**place for place in range(companies)]
    extra = people - floor * companies
    total = sum(weights)
    sizes = [min(LARGEST, floor + int(extra * weight / total)) for weight in weights]
    left = people - sum(sizes)
    for place in range(companies):
        room = min(left, LARGEST - sizes[place])
        sizes[place] += room
        left -= room
    return sizes
