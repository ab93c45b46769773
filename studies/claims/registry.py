"""Registry of all claims that can be decided here: a table per family of studies, joined.

Which claims there are, also those that a CPU cannot decide, is in `studies/claims/listing.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ground.endings import Mistake
from studies.claims.claim import Claim, Decision
from studies.claims.images.claims import CLAIMS as IMAGES
from studies.claims.sim.claims import CLAIMS as SIM
from studies.claims.synthetic.claims import CLAIMS as SYNTHETIC

FAMILIES: Mapping[str, Sequence[Claim]] = {"sim": SIM, "synthetic": SYNTHETIC, "images": IMAGES}


def join(families: Iterable[Iterable[Claim]]) -> dict[str, Claim]:
    """Return all claims by id. Raises ValueError for two of one id, or one without a source."""
    found: dict[str, Claim] = {}
    for claim in (claim for family in families for claim in family):
        if claim.id in found or not claim.source:
            raise ValueError(f"{claim.id}: is registered twice, or without a source")
        found[claim.id] = claim
    return found


CLAIMS: Mapping[str, Claim] = join(FAMILIES.values())


def claims_of(family: str) -> dict[str, Claim]:
    """Return the claims of one family by id."""
    return {claim.id: CLAIMS[claim.id] for claim in FAMILIES[family]}


def claim_of(id: str, file: Path) -> Claim:
    """Return the claim of an id that stands in a file of rules. Raises Mistake for one that has no
    function."""
    if id not in CLAIMS:
        raise Mistake(
            f"{id}: stands in {file}, but no function is registered for it in "
            f"studies/claims/images/claims.py"
        )
    return CLAIMS[id]


def check_claims(asked: Iterable[str], family: str, config: Any) -> None:
    """Raise Mistake for a claim that is unknown, or that runs of `config` cannot decide."""
    known = claims_of(family)
    for one in asked:
        if one not in known:
            raise Mistake(f"claims: got {one!r}, allowed {', '.join(known)}")
        try:
            known[one].needs(config)
        except Mistake as mistake:
            raise Mistake(f"claims: {one} asks for {mistake}") from None


def decide(asked: Iterable[str], study: Any) -> list[Decision]:
    """Return the decisions of the claims `asked`, in their order."""
    return [decision for one in asked for decision in CLAIMS[one].decide(study)]
