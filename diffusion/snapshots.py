"""Snapshots (what a model was at a step) and states (all that training needs to go on).

Layout, below a run directory:
    snapshots/step_00000512/   model_index.json unet/ scheduler/ manifest.json, and of text runs
                               text_encoder/ tokenizer/, of others conditioner/;
                               trained parts twice: raw weights, variant `ema`
    snapshots/frozen/          parts that are not trained, once; snapshots hold hard links to them
    state/step_00002000/       raw.safetensors ema.safetensors optimizer.safetensors progress.json
                               manifest.json
    .snapshots.hashes.json     hashes that need not be made again; .state.hashes.json too

Averages that equal the raw weights to the bit are hard links to their files.
"""

import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ground.endings import DamageWarning, Mistake
from ground.files import (
    MANIFEST,
    damage,
    hash_file,
    read_json,
    remove_directory,
    write_directory,
    write_json,
)
from ground.kept_hashes import KeptHashes

STEP = re.compile(r"step_(\d{8})$")
THINNED = "thinned.json"
FROZEN = "frozen"


def step_directory(parent: Path, step: int) -> Path:
    return parent / f"step_{step:08d}"


def step_of(directory: Path) -> int:
    """The step whose `step_directory` this is."""
    return int(directory.name.removeprefix("step_"))


def steps_in(parent: Path) -> list[int]:
    """Steps that have a directory of their own, sorted, complete or not."""
    matches = [STEP.match(path.name) for path in parent.glob("step_*")]
    return sorted(int(match[1]) for match in matches if match)


def complete_steps(parent: Path) -> list[int]:
    """Steps whose directory is whole; files that have not changed since they were last looked at
    are not read again."""
    kept = KeptHashes(parent)
    steps = steps_in(parent)
    whole = [s for s in steps if step_damage(step_directory(parent, s), kept.of) is None]
    kept.save()
    return whole


def thinned_steps(parent: Path) -> list[int]:
    """Steps whose snapshot was removed on purpose, see `thin`."""
    return [step for step in steps_in(parent) if (step_directory(parent, step) / THINNED).is_file()]


def snapshot_hash(directory: Path) -> str | None:
    """SHA-256 of a snapshot's manifest, which has that of each of its files and stays when it is
    thinned out: two snapshots with one hash are the same. None if there is no manifest."""
    manifests = (directory / name for name in (MANIFEST, THINNED))
    return next((hash_file(file) for file in manifests if file.is_file()), None)


def find_snapshot(parent: Path, step: int | None) -> Path:
    """Directory of one step, or of the last complete one. Mistake says which exist."""
    thinned = thinned_steps(parent)
    steps = [known for known in steps_in(parent) if known not in thinned]
    if step is not None and step not in steps:
        known = ", ".join(map(str, steps)) or "none"
        why = "was thinned out (evaluate.keep); trained again under another --name it is the same"
        gone = why if step in thinned else f"is not in {parent}"
        raise Mistake(f"step: the snapshot of step {step} {gone}; there are {known}")
    for candidate in [step] if step is not None else steps[::-1]:
        path = step_directory(parent, candidate)
        if _is_whole(path):
            return path
    what = "no complete snapshot" if step is None else f"no complete snapshot of step {step}"
    raise Mistake(f"step: {what} in {parent}; use another step")


def step_damage(directory: Path, hash_of: Callable[[Path], str] | None = None) -> str | None:
    """What is wrong with the snapshot or state in a `step_directory`, on one line; None if it is
    whole and of the step that its name says. hash_of: see `damage`."""
    wrong = damage(directory, hash_of)
    if wrong:
        return wrong
    step = read_json(directory / MANIFEST).get("step")
    return None if step == step_of(directory) else f"its manifest is of step {step}"


def _is_whole(path: Path) -> bool:
    """True if complete; else a warning names what is wrong with it."""
    wrong = step_damage(path)
    if wrong:
        warnings.warn(f"{path}: {wrong}; not used", DamageWarning, stacklevel=3)
    return not wrong


def save_snapshot(
    parent: Path,
    step: int,
    pipeline: DiffusionPipeline,
    averages: Mapping[str, Any],
    frozen: Sequence[str] = (),
) -> Path:
    """Write one snapshot: a pipeline, and averages of its trained parts as the variant `ema`.

    frozen: names of the parts that are the same in every snapshot.
    """
    path = step_directory(parent, step)
    parts = {name: part for name, part in pipeline.components.items() if part is not None}
    stored = {name: _save_frozen(parent, name, parts[name], step) for name in frozen}

    def fill(directory: Path) -> None:
        with _bare_errors_named(path):
            pipeline.save_config(directory)
            for name, part in parts.items():
                if name not in stored:
                    part.save_pretrained(directory / name)
            for name, part in averages.items():
                part.save_pretrained(directory / name, variant="ema")
                if _equal(part, parts[name]):
                    _link_averages(directory / name)
        for name, source in stored.items():
            _link_files(source, directory / name)

    write_directory(path, fill, step=step)
    return path


def _equal(one: nn.Module, other: nn.Module) -> bool:
    """True if two networks of the same kind hold the same numbers, to the bit."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def _link_averages(directory: Path) -> None:
    """Replace the averaged weights of a part by hard links to the raw ones, which equal them."""
    for average in directory.glob("*.ema.safetensors"):
        average.unlink()
        os.link(average.with_name(average.name.replace(".ema.", ".")), average)


def _save_frozen(parent: Path, name: str, part: Any, step: int) -> Path:
    """Directory of a part that is the same in every snapshot, written at the first.

    A run that begins anew at step 0 replaces what a killed start has left, if it is another.
    """
    path = parent / FROZEN / name
    if step == 0 or not path.exists():
        with _bare_errors_named(path):
            write_directory(path, part.save_pretrained)
    return path


def load_frozen(parent: Path, name: str, part: Any) -> None:
    """Give a part the weights it had when this run began, whatever its source holds by now.

    Raises Mistake if they are damaged or gone.
    """
    path = parent / FROZEN / name
    wrong = damage(path)
    if wrong:
        raise Mistake(f"{path}: {wrong}, and the run cannot go on without it; restore it")
    kind, began = part.config.model_type, read_json(path / "config.json").get("model_type")
    if kind == began:
        stored = type(part).from_pretrained(path).state_dict()
        shapes = [{key: w.shape for key, w in d.items()} for d in (stored, part.state_dict())]
        if shapes[0] == shapes[1]:
            part.load_state_dict(stored)
            return
    raise Mistake(f"{path}: the {name} that the config names is another one by now; restore it")


def _link_files(source: Path, target: Path) -> None:
    target.mkdir()
    for file in source.iterdir():
        if file.name != MANIFEST:
            os.link(file, target / file.name)


def thin(parent: Path, step: int) -> None:
    """Remove a snapshot's files; its manifest stays, as THINNED, to say what they were."""
    path = step_directory(parent, step)
    if not (path / THINNED).exists():  # else a killed writer's work is finished
        os.replace(path / MANIFEST, path / THINNED)
    for entry in path.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != THINNED:
            entry.unlink()


@contextmanager
def _bare_errors_named(path: Path) -> Iterator[None]:
    """safetensors and tokenizers raise exceptions of no kind for what the disk refuses."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or "os error" not in str(error):
            raise
        raise OSError(f"{path}: {error}") from None


def save_state(
    parent: Path,
    step: int,
    raw: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Mapping[str, Any],
) -> None:
    """Write the training state after `step` steps, then drop all complete ones but two.

    Of weights, those that are trained (require a gradient in `raw`).
    """
    path, names = step_directory(parent, step), _trained(raw)

    def fill(directory: Path) -> None:
        with _bare_errors_named(path):
            save_file(_tensors(raw, names), directory / "raw.safetensors")
            if _equal(raw, ema):
                os.link(directory / "raw.safetensors", directory / "ema.safetensors")
            else:
                save_file(_tensors(ema, names), directory / "ema.safetensors")
            save_file(_optimizer_tensors(raw, optimizer), directory / "optimizer.safetensors")
        write_json(directory / "progress.json", {**progress, "step": step})

    write_directory(path, fill, step=step)
    for old in complete_steps(parent)[:-2]:
        remove_directory(step_directory(parent, old))


def last_state(
    parent: Path, wrong: Callable[[Path], str | None] = lambda path: None
) -> Path | None:
    """Directory of the last complete state with which nothing is `wrong`; warns of the others."""
    for step in steps_in(parent)[::-1]:
        path = step_directory(parent, step)
        if not _is_whole(path):
            continue
        reason = wrong(path)
        if reason is None:
            return path
        warnings.warn(f"{path}: {reason}; not used", DamageWarning, stacklevel=2)
    return None


def load_state(
    directory: Path, raw: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put a state back, bit for bit; returns its progress."""
    names = _trained(raw)
    _load_tensors(raw, names, load_file(directory / "raw.safetensors"))
    _load_tensors(ema, names, load_file(directory / "ema.safetensors"))
    _load_optimizer(raw, optimizer, load_file(directory / "optimizer.safetensors"))
    return read_json(directory / "progress.json")


def _trained(module: nn.Module) -> list[str]:
    return [name for name, parameter in module.named_parameters() if parameter.requires_grad]


def _tensors(module: nn.Module, names: Sequence[str]) -> dict[str, Tensor]:
    parameters = dict(module.named_parameters())
    return {name: parameters[name].detach().contiguous() for name in names}


@torch.no_grad()
def _load_tensors(module: nn.Module, names: Sequence[str], tensors: Mapping[str, Tensor]) -> None:
    parameters = dict(module.named_parameters())
    for name in names:
        parameters[name].copy_(tensors[name])


def _optimizer_tensors(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """{'<parameter>/<exp_avg …>': tensor}: names, not positions, survive a change of the model."""
    return {
        f"{name}/{key}": value.contiguous()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
        for key, value in optimizer.state[parameter].items()
    }


def _load_optimizer(
    module: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    parameters = dict(module.named_parameters())
    for key, tensor in tensors.items():
        name, entry = key.rsplit("/", 1)
        parameter = parameters[name]
        tensor = tensor.to(parameter.device)  # fused: `step` too
        if tensor.shape == parameter.shape:  # in the order of the weights in memory
            tensor = torch.empty_like(parameter).copy_(tensor)
        optimizer.state[parameter][entry] = tensor
