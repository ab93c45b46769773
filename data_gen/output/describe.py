"""A world in words and numbers: what is shown how often, how far apart, what is held out."""

from collections.abc import Iterable
from typing import Any

import torch
import yaml

from data_gen.bumps.world import SPLITS, BumpWorld
from data_gen.bumps.world import check_leaks as check_bump_leaks
from data_gen.bumps.world import sensitivity as bump_sensitivity
from data_gen.dataset import check_training
from data_gen.factors import FACTORS
from data_gen.leaks import LeakCheck
from data_gen.photos.images import leak_check as photo_leak_check
from data_gen.photos.images import photo_set
from data_gen.photos.world import SPLITS as PHOTO_SPLITS
from data_gen.photos.world import PhotoWorld
from data_gen.scenes import class_tables
from data_gen.signals import pixel_gaps, sensitivity
from data_gen.world import World

SHOWN = 12  # names in a list


def describe_shapes(world: World) -> list[str]:
    """Lines of text: concepts with their measured signals, nuisances, split, leak check."""
    check = check_training(world)
    lines = [f"image: {world.config.image_size_px} × {world.config.image_size_px} px, RGB"]
    for name in world.space.names:
        lines += _concept(world, name)
    lines += [f"nuisance {name}: {_nuisance(world, name)}" for name in world.nuisances]
    lines += _split(world, check)
    lines += check.report().lines()
    return [*lines, f"captions: {_some(map(repr, check.captions))}"]


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - SHOWN} others" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def _concept(world: World, name: str) -> list[str]:
    values = world.config.concepts[name].values
    lines = [f"concept {name}: {', '.join(_value(world, name, value) for value in values)}"]
    if len(values) > 1:
        gaps = pixel_gaps(world, name)
        closest = min(gaps, key=lambda gap: gap.smallest)
        pair = f"{closest.first} and {closest.second}"
        lines.append(
            f"  expected pixel gap {sum(gap.mean for gap in gaps) / len(gaps):.2f}; smallest "
            f"{closest.smallest:.2f}, {pair}" + f" of {closest.where}" * bool(closest.where)
        )
    if FACTORS[name].channels:
        unit = FACTORS[name].unit.rstrip("s")
        lines.append(f"  E‖∂image/∂{name}‖ {sensitivity(world, name):.3g} per {unit}")
    return lines


def _value(world: World, name: str, value: str) -> str:
    """'red (0.70, 0.30, 0.30) ± 0.05', or 'circle'."""
    if not FACTORS[name].channels:
        return value
    place = world.space.names.index(name)
    row = next(i for i, c in enumerate(world.space.combinations) if c[place] == value)
    mean, spread = (table[row].tolist() for table in class_tables(world)[name])
    return f"{value} ({', '.join(f'{m:.3g}' for m in mean)}) ± {max(spread):.3g}"


def _nuisance(world: World, name: str) -> str:
    nuisance = world.nuisances[name]
    if nuisance.values:
        return ", ".join(nuisance.values)
    low, high = nuisance.range
    unit = FACTORS[name].unit
    return f"{low:g} {unit}" if low == high else f"uniform in [{low:g}, {high:g}] {unit}"


def _split(world: World, check: LeakCheck) -> list[str]:
    """Training images by combination, as they were counted; held-out combinations."""
    space, split = world.space, world.split
    counts = _some(f"{space.name(c)} {check.shown[c]}" for c in split.train)
    held_out = _some(map(space.name, split.held_out)) or "none"
    return [
        f"images: {world.num_training_images} for training of {world.config.num_images}",
        f"training images of {len(split.train)} combinations: {counts}",
        f"held-out combinations, {len(split.held_out)}: {held_out}",
    ]


def describe_bumps(world: BumpWorld) -> list[str]:
    """Lines of text: labels by split, sensitivity, leak check."""
    config = world.config
    counts = world.split.bincount(minlength=len(SPLITS)).tolist()
    labels = ", ".join(f"{SPLITS[i]} {count}" for i, count in enumerate(counts) if count)
    slopes = bump_sensitivity(world)
    return [
        f"image: {config.image_size_px} × {config.image_size_px} px, grey, {config.image}",
        f"labels: {labels}",
        *(f"E‖∂image/∂{name}‖ {slope:.3g} per px" for name, slope in slopes.items()),
        *check_bump_leaks(world, world.labels[world.select("train")]).lines(),
    ]


def describe_photos(world: PhotoWorld) -> list[str]:
    """Lines of text: concepts, images per combination and split, leak check."""
    photos, *others = (photo_set(world, split) for split in PHOTO_SPLITS)
    shown = torch.cat([photos.combination, *(other.combination for other in others)])
    counts = [
        f"{world.space.name(c)} {int((shown == i).sum())}"
        for i, c in enumerate(world.space.combinations)
    ]
    return [
        f"image: {world.config.image_size_px} × {world.config.image_size_px} px, RGB",
        *(f"concept {name}: {', '.join(values)}" for name, values in world.space.items()),
        f"images per combination: {', '.join(counts)}",
        f"images for training: {len(photos)}",
        f"held-out combinations: {_some(map(world.space.name, world.split.held_out)) or 'none'}",
        *photo_leak_check(world, photos).lines(),
        f"captions: {_some(map(repr, photos.captions))}",
    ]


def data_card(
    name: str, question: str, config: str, facts: list[str], splits: dict[str, int], kind: str
) -> str:
    """README.md of an export: what is in it, how it was made; its head is for datasets' loader."""
    head: dict[str, Any] = {"pretty_name": name}
    paths = {"imagefolder": "{}/**", "parquet": "data/{}-*.parquet"}
    if kind in paths:
        files = [{"split": split, "path": paths[kind].format(split)} for split in splits]
        head["configs"] = [{"config_name": "default", "data_files": files}]
    table = [f"| {split} | {count} |" for split, count in splits.items()]
    return "\n".join(
        [
            "---",
            yaml.safe_dump(head, sort_keys=False).rstrip(),
            "---",
            "",
            f"# {name}",
            "",
            question,
            "",
        ]
        + ["| split | images |", "|---|---|", *table, ""]
        + ["## What is in it", "", *(f"- {fact}" for fact in facts), ""]
        + ["## How it was made", "", f"`scripts/render.py --out DIR --format {kind}` on"]
        + ["", "```yaml", config.rstrip(), "```", ""]
    )
