"""What scripts/render.py does: describe, match, preview and export any kind of world."""

from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from tqdm import tqdm

from data_gen.bumps.config import BumpsConfig
from data_gen.bumps.world import BumpWorld
from data_gen.concepts import Combination
from data_gen.output.describe import data_card, describe_bumps, describe_photos, describe_shapes
from data_gen.output.export import export
from data_gen.output.preview import (
    Row,
    bump_rows,
    combination_rows,
    photo_rows,
    save_sheet,
)
from data_gen.output.sources import BumpSource, PhotoSource, ShapeSource, Source
from data_gen.photos.world import PhotoWorld
from data_gen.signals import match_signal, mean_gap
from data_gen.world import World
from ground import streams
from ground.endings import Mistake, nearest
from studies.drawing.sheets import labelled_sheet
from studies.experiment.config import to_dict
from studies.experiment.world_file import WorldFile

AnyWorld = World | BumpWorld | PhotoWorld
PREVIEWED, PREVIEW_ROWS = 8, 40  # images in a row, rows


def open_world(checked: World | PhotoWorld | BumpsConfig) -> AnyWorld:
    """What `studies.experiment.world_file.build_world` gives, with the labels of bumps."""
    return BumpWorld(checked) if isinstance(checked, BumpsConfig) else checked


def source_of(world: AnyWorld, test_images: int) -> Source:
    if isinstance(world, World):
        return ShapeSource(world, test_images)
    return BumpSource(world) if isinstance(world, BumpWorld) else PhotoSource(world)


def describe(world: AnyWorld) -> list[str]:
    if isinstance(world, World):
        return describe_shapes(world)
    return describe_bumps(world) if isinstance(world, BumpWorld) else describe_photos(world)


def match(world: AnyWorld, concepts: Sequence[str]) -> str:
    """The flags that give concepts the measured signal of the first of them."""
    if not isinstance(world, World):
        raise Mistake("--match: only worlds of shapes have signals to match")
    for name in concepts:
        if name not in world.space.names:
            hint = nearest(name, world.space.names)
            raise Mistake(f"--match: no concept {name!r}{hint}; {', '.join(world.space.names)}")
    if len(concepts) < 2:
        raise Mistake("--match: give two or more concepts; the first is the measure")
    gap = mean_gap(world, concepts[0])
    signals = {name: match_signal(world, name, gap) for name in concepts[1:]}
    flags = [f"--world.concepts.{name}.signal {signal:.3g}" for name, signal in signals.items()]
    return f"expected pixel gap of {concepts[0]}: {gap:.2f}; the same with\n{' '.join(flags)}"


def export_world(
    world: AnyWorld,
    file: WorldFile,
    out: Path,
    kind: str,
    test_images: int,
    say: Callable[[str], None],
) -> None:
    source = source_of(world, test_images)
    total, config = sum(source.splits.values()), to_dict(file)

    def card() -> str:
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        return data_card(file.name, file.question, text, describe(world), source.splits, kind)

    identity = [config, world.contents() if isinstance(world, PhotoWorld) else None]
    with tqdm(total=total, desc="export", unit="image", disable=None) as bar:
        new = export(source, out, kind, identity, card, bar.update, say)
    splits = ", ".join(f"{name} {count}" for name, count in source.splits.items())
    say(f"{out}: {'wrote' if new else 'found'} {total} images ({splits}) as {kind}")


def preview(world: AnyWorld, file: WorldFile, path: Path) -> None:
    """A contact sheet: a row per combination, or per split of labels; of many, some."""
    rows, of = _rows(world)
    save_sheet(path, labelled_sheet(f"{file.name}: {file.question}{of}", rows))


def _rows(world: AnyWorld) -> tuple[list[Row], str]:
    """Rows, and which part of all they are."""
    if isinstance(world, BumpWorld):
        return bump_rows(world, PREVIEWED), ""
    there = world.kept if isinstance(world, PhotoWorld) else [1] * len(world.space)
    drawable = [c for c, count in zip(world.space.combinations, there, strict=True) if count]
    shown, total = _spread(drawable), len(drawable)
    of = f" ({len(shown)} of {total} combinations)" if len(shown) < total else ""
    if isinstance(world, World):
        return combination_rows(world, shown, PREVIEWED), of
    return photo_rows(world, shown, PREVIEWED), of


def _spread(combinations: list[Combination]) -> list[Combination]:
    """At most PREVIEW_ROWS of them, at random: even steps would favour some values."""
    order = streams.permutation(0, "preview", 0, len(combinations))
    return [combinations[i] for i in order[:PREVIEW_ROWS].sort().values.tolist()]
