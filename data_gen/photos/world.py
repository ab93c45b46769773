"""The config of a world of photographs and what follows without opening one. Imports no torch."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import Combination, ConceptSpace, check_values
from data_gen.photos.attributes import Row, read_table
from data_gen.photos.matching import check_folder
from data_gen.reserved import check_concept_name
from data_gen.sets import read_set
from data_gen.splits import Split, make_split, share_out
from data_gen.word_rates import read_rates
from ground.endings import Mistake, check_all
from ground.files import hash_file, hash_json
from ground.text import composed

SPLITS = ("train", "validation", "held_out")


@dataclass(frozen=True)
class PhotoConcept:
    """One axis of concept space, read from one column of the table.

    Attributes:
        column: its name in the table.
        words: value → the cell that means it, as the table spells it. Always text: YAML reads 1,
            true and yes as something else, so write them in quotes.
    """

    column: str
    words: dict[str, str]

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self.words)


@dataclass(frozen=True)
class PhotosConfig:
    """A world made of a folder of images and a table of what they show.

    Attributes:
        folder: of the images; paths are relative to where the command runs.
        table: of their attributes, one row per image: CSV, metadata.jsonl or CelebA's list_attr.
        concepts: the axes of concept space, each with its column and its values.
        kind: what the world is made of.
        file_column: of the table, where the names of the files are. None: as its layout says.
        seed: of which images are validation, which are kept, and of the words of captions.
        image_size_px: height and width after cropping and scaling.
        others: what becomes of an image with a cell that is none of a concept's words.
        num_images: images in all, every combination its share of them; None: all there are.
        validation: share of the images of each training combination, rounded down, that is kept
            out of training.
        held_out: sets of combinations that training never shows.
        at_most: set → images that training shows of each of its combinations, later ones override.
            It takes no image from validation, and a smaller number keeps a part of what a larger
            one keeps.
        contents: a hash of what table and files hold. Others are refused,
            wherever they lie. None: whatever is there; a run writes it into its config.yaml.
    """

    folder: str
    table: str
    concepts: dict[str, PhotoConcept]
    kind: Literal["photos"] = "photos"
    file_column: str | None = None
    seed: int = 0
    image_size_px: int = 64
    others: Literal["refuse", "skip"] = "refuse"
    num_images: int | None = None
    validation: float = 0.0
    held_out: tuple[str, ...] = ()
    at_most: dict[str, int] = field(default_factory=dict)
    contents: str | None = None


class PhotoTerms:
    """Concept space, split and captioner of one config, checked: all that needs no file."""

    def __init__(self, config: PhotosConfig, captions: CaptionConfig | None = None):
        check_photos(config)
        self.config, self.captions = config, captions or CaptionConfig()
        self.space = ConceptSpace({name: c.values for name, c in config.concepts.items()})
        check_all(self._read_split, self._read_captions)

    def _read_split(self) -> None:
        self.split = make_split(self.space, self.config.held_out)
        self.limits = _read_limits(self.space, self.split, self.config.at_most)

    def _read_captions(self) -> None:
        self.captioner = Captioner(self.space, self.captions)
        self.rates = read_rates(self.space, self.captions)

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of an image: (channels, height, width)."""
        return (3, self.config.image_size_px, self.config.image_size_px)


class PhotoWorld(PhotoTerms):
    """World of photographs: terms and table, checked against the folder; no image is opened.

    Raises Mistake, naming key, file and line, for what cannot be such a world, and for files that
    hold something else than `PhotosConfig.contents` says.

    Attributes:
        names: the n files whose cells all have a word, sorted.
        place: int64 (n,), of each file among all rows of the table, sorted. Which images are
            validation or kept, and their captions, depend on nothing but the seed and this.
        combination: int64 (n,), index into `ConceptSpace.combinations`.
        kept: int64 (combinations,), images in use; all but num_images leaves out.
    """

    def __init__(self, config: PhotosConfig, captions: CaptionConfig | None = None):
        super().__init__(config, captions)
        columns = [concept.column for concept in config.concepts.values()]
        rows = read_table(Path(config.table), columns, config.file_column)
        check_folder(Path(config.folder), Path(config.table), rows)
        self.place, self.combination = _usable(config, self.space, rows)
        self.names = tuple(rows[i].name for i in self.place)
        self.kept = _keep(np.bincount(self.combination, minlength=len(self.space)), config)
        _check_training(self)
        _check_contents(self)

    def contents(self) -> str:
        """How many images there are and a hash of what they show and of their files' bytes.

        The same for copies of the files, and whatever the table says beside.
        """
        paths = [Path(self.config.folder) / name for name in self.names]
        with ThreadPoolExecutor() as pool:
            files = list(pool.map(hash_file, paths))
        shown = [self.place.tolist(), self.combination.tolist()]
        return f"{len(paths)} images, {hash_json([self.names, *shown, files])[:16]}"


def check_photos(config: PhotosConfig) -> None:
    """Refuse what no table could make a world of. Raises Mistake, naming the key."""
    check_values({name: concept.values for name, concept in config.concepts.items()})
    for name, concept in config.concepts.items():
        _check_concept(f"world.concepts.{name}", name, concept)
    for key, value, low, high in (
        ("seed", config.seed, 0, 2**64 - 1),
        ("image_size_px", config.image_size_px, 8, 512),
        ("validation", config.validation, 0, 0.9),
    ):
        if not low <= value <= high:
            raise Mistake(f"world.{key}: got {value}, allowed {low} to {high}")


def _check_concept(key: str, name: str, concept: PhotoConcept) -> None:
    check_concept_name(name, key)
    if len(concept.words) < 2:
        raise Mistake(f"{key}.words: got {', '.join(concept.words)}, allowed two or more words")
    for word, cell in concept.words.items():
        if (other := _meanings(concept)[composed(cell.strip())]) != word:
            raise Mistake(f"{key}.words: {word!r} and {other!r} both mean the cell {cell!r}")


def _meanings(concept: PhotoConcept) -> dict[str, str]:
    """Cell → value, without blanks around it and composed, as in the rows of a table."""
    return {composed(cell.strip()): word for word, cell in concept.words.items()}


def _read_limits(
    space: ConceptSpace, split: Split, at_most: Mapping[str, int]
) -> dict[Combination, int]:
    """Training combination → how many of its images train, for those that have a limit."""
    limits: dict[Combination, int] = {}
    for text, count in at_most.items():
        key = f"world.at_most[{text!r}]"
        if count < 0:
            raise Mistake(f"{key}: got {count}, allowed 0 or more")
        named = read_set(space, text, key) & set(split.train)
        if not named:
            raise Mistake(f"{key}: names no training combination")
        limits.update(dict.fromkeys(named, count))
    return limits


def _usable(
    config: PhotosConfig, space: ConceptSpace, rows: Sequence[Row]
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the rows whose cells all have a word, and the index of what each shows."""
    values = [_meanings(concept) for concept in config.concepts.values()]
    found = [_combination(config, values, row) for row in rows]
    shown = [(i, space.index(c)) for i, c in enumerate(found) if c is not None]
    place, combination = np.array(shown, dtype=np.int64).reshape(-1, 2).T
    return place, combination


def _combination(
    config: PhotosConfig, values: Sequence[Mapping[str, str]], row: Row
) -> Combination | None:
    """What an image shows; None if one of its cells has no word and such images are skipped.

    values: for each concept, cell → value.
    """
    found = tuple(
        value[cell] for value, cell in zip(values, row.cells, strict=True) if cell in value
    )
    if len(found) == len(values):
        return found
    if config.others == "skip":
        return None
    i = next(i for i, cell in enumerate(row.cells) if cell not in values[i])
    name, concept = list(config.concepts.items())[i]
    raise Mistake(
        f"{config.table}, line {row.line}: {concept.column} is {row.cells[i]!r}, which no word of "
        f"world.concepts.{name} means (they mean {', '.join(map(repr, values[i]))}); add a word, "
        f"or others: skip"
    )


def _keep(counts: np.ndarray, config: PhotosConfig) -> np.ndarray:
    """How many images of each combination are in use. counts: int64 (combinations,)."""
    total = int(counts.sum())
    if config.num_images is None or not total:
        return counts
    if not 1 <= config.num_images <= total:
        raise Mistake(f"world.num_images: got {config.num_images}, allowed 1 to {total}, or none")
    return np.array(share_out(counts.astype(float).tolist(), config.num_images), dtype=np.int64)


def _check_training(world: PhotoWorld) -> None:
    """Something must train, and every value must be seen."""
    table, trains = world.config.table, set()
    for combination, kept in zip(world.space.combinations, world.kept.tolist(), strict=True):
        if world.split.of(combination) == "train" and kept and world.limits.get(combination, 1):
            trains.add(combination)
    if not trains:
        raise Mistake(
            f"{table}: leaves no image to train on: {len(world.names)} of its images have a word "
            f"for every concept, and none of them may train; see world.held_out, world.at_most"
        )
    for name, values in world.space.items():
        for value in values:
            if not any(value in combination for combination in trains):
                raise Mistake(
                    f"world.concepts.{name}: no training image shows {value!r}; mend the cell it "
                    f"means, hold out less (world.held_out), or keep more (world.at_most)"
                )


def _check_contents(world: PhotoWorld) -> None:
    expected = world.config.contents
    if expected is not None and (there := world.contents()) != expected:
        raise Mistake(
            f"world.contents: {world.config.table} and {world.config.folder} hold {there}, "
            f"allowed {expected}: images or table have changed; restore them, or leave "
            f"world.contents out for another experiment"
        )
