"""Checks of snapshots and states: are they whole, finite, and none another's?"""

from pathlib import Path

import torch
from safetensors import safe_open
from tqdm import tqdm

from diffusion.snapshots import THINNED, step_directory, steps_in
from ground.files import MANIFEST, damage
from studies.run.directory import RunDir
from studies.verify.remarks import Looking, Remark, Remarks, read_mapping

Hashes = dict[Path, dict[str, str]]  # of snapshots and states: {file: SHA-256}


def directories(run: RunDir) -> Looking:
    """Return the hashes of all whole snapshots and states, and of what was thinned out; yield
    remarks on others."""
    parents = (run.snapshots, run.states)
    paths = [step_directory(parent, step) for parent in parents for step in steps_in(parent)]
    thinned = [path for path in paths if (path / THINNED).exists()]
    hashes: Hashes = {}
    for path in tqdm(paths, desc="verify", unit="directory", disable=None):
        what = None if path in thinned else damage(path)
        if what and path.exists():  # else its run has removed it meanwhile
            yield Remark("damaged", path, what)
        if not what:
            manifest = yield from read_mapping(path / (THINNED if path in thinned else MANIFEST))
            hashes[path] = manifest.get("sha256", {})
            if manifest.get("step") != int(path.name.removeprefix("step_")):
                yield Remark("damaged", path, f"its manifest is of step {manifest.get('step')}")
    if thinned:
        yield Remark("note", run.snapshots, f"{len(thinned)} thinned out (evaluate.keep)")
    return hashes


def equal_weights(hashes: Hashes) -> Remarks:
    """Yield directories with the same weights of the U-Net: every step changes all of them, so they
    were mixed up."""
    seen: dict[tuple[Path, str, str], Path] = {}
    for path, files in hashes.items():
        for name, digest in files.items():
            first = seen.setdefault((path.parent, name, digest), path)
            if first != path and _is_unet(name):
                yield Remark("damaged", path, f"{name} is that of {first.name}")


def _is_unet(name: str) -> bool:
    """Return whether a file is of a snapshot's U-Net or of a state's whole model."""
    others = ("text_encoder", "conditioner", "optimizer")
    return name.endswith(".safetensors") and not name.startswith(others)


def finite(run: RunDir, hashes: Hashes) -> Remarks:
    """Yield weights that are not finite, of the last snapshot alone: they stay so."""
    path = next((path for path in reversed(hashes) if path.parent == run.snapshots), None)
    files = [path / name for name in hashes[path] if name.endswith(".safetensors")] if path else []
    for file in filter(Path.exists, files):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                if not torch.isfinite(tensors.get_tensor(name)).all():
                    yield Remark("damaged", file, f"{name} is not finite")
                    break
