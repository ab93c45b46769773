"""Certificate of a run's probe, read back."""

from typing import Any

from ground.endings import Mistake
from ground.files import damage, read_json
from studies.run.directory import RunDir

PROBE_VERSION = 3  # raise it when network, training, renderer, limit or certificate change
EARLY_VERSION = 4  # the same, of probes that read folded images and stop once they read enough


def read_certificate(run: RunDir) -> dict[str, Any]:
    """Read the certificate of the probe that is linked into a run; every file of the probe is
    hashed. Raises Mistake if they are not all there, or were made by another version."""
    wrong = damage(run.probe)
    if wrong:
        raise Mistake(
            f"{run.probe}: no complete probe ({wrong}); run scripts/run.py on this config, or, if "
            f"the run was copied, copy the folder of runs with its .shared/ too"
        )
    certificate = read_json(run.probe / "certificate.json")
    if certificate["identity"].get("version") not in (PROBE_VERSION, EARLY_VERSION):
        raise Mistake(
            f"{run.probe}: was made by another version of this program; scripts/run.py on this "
            f"config makes it anew, and reads the samples again"
        )
    return certificate
