"""Contract of a kind of world, which shapes, photographs and bumps meet: what an experiment needs.

A world is known in two steps. Its config alone says, at once and without torch, what can be asked
and how that is scored (`KindOfWorld`). Its images come when they are asked for, from a renderer or
from files (`WorldImages` in images.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from data_gen.captions import CaptionConfig
from studies.worlds.asked import Asked
from studies.worlds.condition_grid import ConditionGrid
from studies.worlds.intervention_config import Intervention

if TYPE_CHECKING:
    from torch import Tensor

    from studies.worlds.exams import Exam
    from studies.worlds.images import WorldImages

Facts = Mapping[str, Any]


class WorldSettings(Protocol):
    """Settings of a world of whatever kind, the section `world` of a config: a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def kind(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def image_size_px(self) -> int: ...


class KindOfWorld(ABC):
    """One checked world, as far as its config tells: it opens no file and imports no torch.

    Class attributes:
        settings: the dataclass of its section; the field `kind` names the kind.
        conditionings: what `model.conditioning` may be.
        why: what to say of the others.
        originals: what its own images are called.
        uneven: whether there may be fewer of them than are asked for.
        has_words: whether prompts are words, so that the probe can say what was drawn as asked.
        has_oracle: whether an oracle reads all images that are scored.
        has_renderer: whether fresh images of any question can be drawn.
        places: fields that say where its files lie, not what they hold.

    Attributes:
        terms: the checked world of data_gen.
    """

    settings: ClassVar[type]
    conditionings: ClassVar[tuple[str, ...]]
    why: ClassVar[str]
    originals: ClassVar[str]
    uneven: ClassVar[bool] = False
    has_words: ClassVar[bool] = True
    has_oracle: ClassVar[bool] = False
    has_renderer: ClassVar[bool] = True
    places: ClassVar[tuple[str, ...]] = ()

    terms: Any

    @abstractmethod
    def __init__(self, settings: Any, captions: CaptionConfig):
        """Check both sections. Raises Mistake, naming the key."""

    @classmethod
    @abstractmethod
    def num_combinations(cls, settings: Any) -> int:
        """Return how many combinations a section makes, before anything is made of them."""

    @property
    @abstractmethod
    def looks(self) -> Mapping[str, Any]:
        """Return all that says how an image of this world looks: what its probe depends on."""

    @abstractmethod
    def check_prompts(self, prompts: Mapping[str, str]) -> None:
        """Raise Mistake for sets of prompts, name → template, that cannot be asked here."""

    def held_out_lines(self) -> list[str]:
        """Return what training never shows, in words; nothing where no words say it."""
        return []

    @abstractmethod
    def what_is_asked(self, prompt: str) -> Asked | None:
        """Return what a prompt asks to see; None if prompts are numbers. Raises Mistake."""

    def told(self, prompt: str) -> str:
        """Return a prompt as the model is told it, which may be typed in other words. Raises
        Mistake."""
        return prompt

    @abstractmethod
    def exam(
        self, prompts: Mapping[str, str], seed: int, interventions: Sequence[Intervention] = ()
    ) -> Exam:
        """Return what is asked of every snapshot.

        prompts: sets of prompts beside the captions. seed: `evaluate.seed`. interventions: whose
            questions are some of the captions.
        """

    @abstractmethod
    def condition_grid(self, places: int) -> ConditionGrid:
        """Return the conditions whose representations are compared. places: of each coordinate;
        words have as many as there are. Raises Mistake where fewer than two features vary."""

    def with_files(self) -> Any:
        """Return `terms` with what is in their files. Raises Mistake if these are not as said."""
        return self.terms

    @abstractmethod
    def images(self, opened: Any) -> WorldImages:
        """Return where its images come from. opened: what `with_files` gives."""

    @abstractmethod
    def oracle_reader(self) -> Callable[[Tensor], Sequence[Facts]]:
        """Return what reads uint8 (n, h, w, c): per image what its oracle sees, null where it is
        unsure, as JSON has it; nothing at all where no oracle is."""
