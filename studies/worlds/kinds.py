"""Which class meets which contract, by the kind of world."""

from data_gen.bumps.config import BumpsConfig
from data_gen.photos.world import PhotoWorld
from data_gen.world import World
from studies.experiment.config import AnyTerms, AnyWorld, EvaluateConfig
from studies.worlds.bumps.exam import BumpExam
from studies.worlds.bumps.images import BumpImages
from studies.worlds.exams import CaptionExam, Exam
from studies.worlds.images import ShapeImages, WorldImages
from studies.worlds.photos import PhotoImages


def exam_of(world: AnyTerms, evaluate: EvaluateConfig) -> Exam:
    """What an evaluation asks of a world's models."""
    if isinstance(world, BumpsConfig):
        return BumpExam(world, evaluate.seed)
    return CaptionExam(world, evaluate.prompts)


def images_of(world: AnyWorld) -> WorldImages:
    return BumpImages(world) if isinstance(world, BumpsConfig) else captioned_images_of(world)


def captioned_images_of(world: World | PhotoWorld) -> ShapeImages | PhotoImages:
    return ShapeImages(world) if isinstance(world, World) else PhotoImages(world)
