"""Configs of configs/studies/: one experiment, the variants of it that are run, and their seeds.
Imports no torch."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ground.endings import Mistake, nearest
from ground.files import hash_json
from ground.reading import as_mapping, check_name, read_as, read_yaml
from studies.experiment.config import RESERVED_NAMES, Config, Keep, leaves, read_config, to_dict
from studies.experiment.identity import identity
from studies.many.changes import KINDS, read_changes
from studies.many.fields import nested
from studies.many.variants import merged

MOST_RUNS = 1 << 14  # of a study
MOST_LETTERS = 80  # of a folder's name, the seed apart
SET_BY_THE_STUDY = ("name", "seed")  # fields of every run's config
REFUSED = (*RESERVED_NAMES, "sim")  # runs/sim is of the theory's studies


@dataclass(frozen=True)
class Seeds:
    """Seeds of training: `count` of them, from `first` on."""

    first: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_RUNS:
            raise Mistake(f"count: got {self.count}, allowed are 1 to {MOST_RUNS}")
        if not 0 <= self.first <= (1 << 63) - self.count:
            raise Mistake(f"first: got {self.first}, allowed are 0 to 2**63 - {self.count}")

    @property
    def all(self) -> range:
        """Range of all seeds."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True)
class PlannedRun:
    """Run that a study plans.

    Attributes:
        name: of its directory, and of its config.
        variant: what people call it, seeds apart.
        settings: the fields in which the variants of the study differ, with this run's values.
        seed: of training.
    """

    name: str
    variant: str
    settings: Mapping[str, Any]
    seed: int
    config: Config

    @property
    def identity(self) -> str:
        """Hash of what would make it another experiment if it changed."""
        return hash_json(identity(self.config))

    @property
    def plan(self) -> str:
        """Hash of all that it computes: who has done it has done this plan."""
        data = to_dict(self.config)
        return hash_json({k: v for k, v in data.items() if k not in ("name", "question")})


@dataclass(frozen=True)
class StudyConfig:
    """Study: many runs of one experiment, and the question that they answer together.

    Attributes:
        name: of its folder, runs/<name>.
        question: what it is for.
        runs: in the order of variants, and of seeds within each.
    """

    name: str
    question: str
    runs: tuple[PlannedRun, ...]


@dataclass(frozen=True)
class Header:
    """Keys of a study beside those that say in what its runs differ.

    Attributes:
        name: of its folder, runs/<name>.
        question: what it is for.
        experiment: the config that is varied; a path from the study's own file.
        seeds: of training; every variant is run with each.
        keep: snapshots of each run that stay, as `evaluate.keep`; null: as the experiment says.
    """

    name: str
    question: str
    experiment: str
    seeds: Seeds = field(default_factory=Seeds)
    keep: Keep | None = None

    def __post_init__(self) -> None:
        check_name(self.name, REFUSED)


def read_study(path: Path) -> StudyConfig:
    """Read a study. Raises Mistake for what is wrong, with its key and what is allowed."""
    data = read_yaml(path)
    with _about(str(path)):
        return _read_study(data, path.parent)


def _read_study(data: Mapping[str, Any], folder: Path) -> StudyConfig:
    own = [field.name for field in fields(Header)]
    known = (*own, "base", *KINDS)
    for key in data:
        if key not in known:
            hint = nearest(str(key), known)
            raise Mistake(f"{key}: unknown key{hint}; allowed: {', '.join(known)}")
    header = read_as(Header, {key: data[key] for key in own if key in data}, "")
    base = _read_base(header, data.get("base"), folder)
    variants = _read_variants(data, base)
    if len(variants) * header.seeds.count > MOST_RUNS:
        most = MOST_RUNS // len(variants)
        raise Mistake(f"seeds.count: got {header.seeds.count}, allowed up to {most} here")
    return StudyConfig(header.name, header.question, _planned(variants, header.seeds))


def _read_base(header: Header, changes: Any, folder: Path) -> dict[str, Any]:
    """Return the experiment with the changes of all runs, as plain data."""
    with _about("experiment"):
        experiment = to_dict(read_config(folder / header.experiment))
    base = _changed(experiment, {} if changes is None else changes, "base")
    if header.keep is not None:
        base["evaluate"] = {**base["evaluate"], "keep": header.keep}
    with _about("base"):
        return to_dict(read_as(Config, base, ""))


def _read_variants(data: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Config]:
    """Return the config of every variant by its name."""
    kind, changes = read_changes(data)
    variants = {}
    for name, change in changes.items():
        changed = _changed(base, change, f"{kind}.{name}")
        with _about(f"{kind}.{name}"):
            variants[name] = read_as(Config, changed, "")
    _check_different(variants)
    return variants


def _changed(base: Mapping[str, Any], change: Any, key: str) -> dict[str, Any]:
    change = nested(as_mapping(change, key), base, key)
    for name in change.keys() & set(SET_BY_THE_STUDY):
        raise Mistake(f"{key}.{name}: is set by the study itself; give seeds instead")
    return merged(base, change, key)


@contextmanager
def _about(place: str) -> Iterator[None]:
    """Let Mistakes say where they stand."""
    try:
        yield
    except Mistake as mistake:
        raise mistake.at(f"{place}: ") from None


def _check_different(variants: Mapping[str, Config]) -> None:
    """Raise Mistake if two variants are one experiment, or would have one folder."""
    known: dict[str, str] = {}
    for name, config in variants.items():
        for what in (hash_json(identity(config)), folder_name(name)):
            if what in known:
                same = "have one folder name" if what == folder_name(name) else SAME
                raise Mistake(f"variants {known[what]!r} and {name!r} {same}")
            known[what] = name


SAME = "are the same experiment; let them differ in what is trained"


def _planned(variants: Mapping[str, Config], seeds: Seeds) -> tuple[PlannedRun, ...]:
    settings = _settings(variants)
    return tuple(
        PlannedRun(name, variant, settings[variant], seed, replace(config, name=name, seed=seed))
        for variant, config in variants.items()
        for seed in seeds.all
        for name in [f"{folder_name(variant)}-seed{seed}"]
    )


def _settings(variants: Mapping[str, Config]) -> dict[str, dict[str, Any]]:
    """Return of each variant the fields in which they differ; None of one that it has not."""
    every = {name: leaves(to_dict(config)) for name, config in variants.items()}
    fields = dict.fromkeys(field for own in every.values() for field in own)
    differ = [f for f in fields if len({repr(own.get(f)) for own in every.values()}) > 1]
    return {name: {f: own.get(f) for f in differ} for name, own in every.items()}


def folder_name(variant: str) -> str:
    """Return a variant's name as the beginning of a folder's. Raises Mistake if nothing is left.

    A long one is cut, and ends with a hash of the whole.
    """
    name = re.sub(r"[^\w.=+-]+", "_", variant).lstrip("_.=+-")
    if not name:
        raise Mistake(f"variant {variant!r}: allowed are names with a letter or digit")
    return name if len(name) <= MOST_LETTERS else f"{name[:MOST_LETTERS]}-{hash_json(variant)[:8]}"
