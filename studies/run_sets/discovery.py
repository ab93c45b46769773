"""Runs found in folders, as members of a study; their settings are what their configs differ in.

Imports no torch.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ground.endings import Mistake
from studies.experiment.config import Config, leaves, to_dict
from studies.experiment.identity import identity
from studies.run.directory import RunDir
from studies.run_sets.members import StudyRun

# Of an evaluation, what says how images are drawn. The rest says how many, and when.
HOW_DRAWN = ("seed", "sampler", "num_inference_steps", "guidance_scale", "weights")


def members_in(paths: Iterable[Path]) -> tuple[StudyRun, ...]:
    """Return the runs in some folders, each a run directory or a folder of such.

    Their settings are the fields in which their configs differ, seeds apart. Raises Mistake for a
    folder without runs, and for two runs of one name.
    """
    runs = [run for path in paths for run in _runs_in(path)]
    configs = [run.read_config() for run in runs]
    names = [config.name for config in configs]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise Mistake(f"--run: several runs are named {doubled.pop()!r}; rename one in its config")
    every = varying(configs)
    return tuple(
        StudyRun(config.name, variant_name(settings), settings, config.seed, run)
        for config, settings, run in zip(configs, every, runs, strict=True)
    )


def _runs_in(path: Path) -> list[RunDir]:
    if (path / "config.yaml").is_file() or not path.is_dir():
        return [RunDir(path)]  # which names what is wrong with it when it is read
    found = sorted(config.parent for config in path.glob("[!.]*/config.yaml"))
    return [RunDir(folder) for folder in found] or [RunDir(path)]


def varying(configs: Sequence[Config]) -> list[dict[str, Any]]:
    """Return of each config the fields in which the configs differ, as {dotted field: value}."""
    every = [_fields(config) for config in configs]
    keys = dict.fromkeys(key for fields in every for key in fields)
    differ = [key for key in keys if len({as_text(f.get(key)) for f in every}) > 1]
    return [{key: fields.get(key) for key in differ} for fields in every]


def _fields(config: Config) -> dict[str, Any]:
    """Return what makes an experiment, and how its images are drawn, flat; without the seed."""
    drawn = {key: to_dict(config.evaluate)[key] for key in HOW_DRAWN}
    parts = {**identity(config), "evaluate": drawn}
    return {key: value for key, value in leaves(parts).items() if key != "seed"}


def variant_name(settings: Mapping[str, Any]) -> str:
    """Return a name for settings: the last two parts of each field, with its value."""
    told = [f"{short_name(key)} {as_text(value)}" for key, value in settings.items()]
    return ", ".join(told) or "all runs"


def short_name(field: str) -> str:
    """Return the last two parts of a dotted field, such as color.signal."""
    return ".".join(field.split(".")[-2:])


def as_text(value: Any) -> str:
    """Return a value as text: words as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=list)
