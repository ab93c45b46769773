"""Starting from another run's snapshot: the same weights, words matched by name."""

import pytest
import torch

from diffusion.conditioning import NumberConditioner, TextConditioner
from diffusion.fine_tuning import Source, copy_weights
from diffusion.model import build_model, networks
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import NumberPrompts, TextPrompts, build_tokenizer
from diffusion.snapshots import save_snapshot
from diffusion.text_encoders import build_text_encoder
from ground.endings import Mistake

OLD = build_tokenizer(["a", "blue", "circle", "red"], max_words=3)
NEW = build_tokenizer(["a", "circle", "green", "red", "small"], max_words=4)
TINY = ModelConfig(size="tiny")


PLAIN = ObjectiveConfig()


def denoiser(tokenizer, seed: int, config: ModelConfig = TINY, objective: ObjectiveConfig = PLAIN):
    def conditioner(width: int) -> TextConditioner:
        return TextConditioner(build_text_encoder(config.widths, "captions", tokenizer))

    return build_model(config, objective, conditioner, (3, 16, 16), seed)


def words(model) -> torch.Tensor:
    return model.conditioner.text_encoder.get_input_embeddings().weight.detach()


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Source:
    model, ema = denoiser(OLD, seed=0), denoiser(OLD, seed=1)
    pipeline = ConceptPipeline.of(model, TextPrompts(OLD))
    parent = tmp_path_factory.mktemp("snapshots")
    return Source(save_snapshot(parent, 8, pipeline, networks(ema)), "ema")


def test_the_same_words_give_the_same_model(source):
    model, ema = denoiser(OLD, seed=7), denoiser(OLD, seed=1)
    copy_weights(model, TextPrompts(OLD), source)
    pairs = zip(model.state_dict().values(), ema.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_words_are_matched_by_name_and_new_ones_stay_new(source):
    model, new, ema = (denoiser(NEW, 7), denoiser(NEW, 7), denoiser(OLD, 1))
    copy_weights(model, TextPrompts(NEW), source)
    here, there = NEW.get_vocab(), OLD.get_vocab()
    assert here["circle"] != there["circle"]
    for word in ("a", "circle", "red", "<eos>"):
        assert torch.equal(words(model)[here[word]], words(ema)[there[word]])
    for word in ("green", "small"):
        assert torch.equal(words(model)[here[word]], words(new)[here[word]])
    assert torch.equal(model.unet.conv_in.weight, ema.unet.conv_in.weight)


def test_a_model_of_another_size_is_refused(source):
    model = denoiser(OLD, 0, ModelConfig(size="nano"))
    with pytest.raises(
        Mistake, match=r"train.init_from: unet/\S+ is \(.*\) in the snapshot and \("
    ):
        copy_weights(model, TextPrompts(OLD), source)


def test_a_model_with_another_conditioning_is_refused(source):
    def conditioner(width: int) -> NumberConditioner:
        return NumberConditioner("one_hot", width, [0.0, 0.0], {"red": {"0": 1.0}})

    model = build_model(TINY, ObjectiveConfig(), conditioner, (3, 16, 16), 0)
    with pytest.raises(Mistake, match="is conditioned by captions .* this model by one_hot"):
        copy_weights(model, TextPrompts(OLD), source)


def saved(model, prompts, parent) -> Source:
    """A snapshot whose averages are the weights themselves."""
    pipeline = ConceptPipeline.of(model, prompts)
    return Source(save_snapshot(parent, 8, pipeline, networks(model)), "ema")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"prediction": "v_prediction"}, "objective.prediction is epsilon, this model's v_predict"),
        ({"prediction": "sample"}, "objective.prediction is epsilon, this model's sample"),
        ({"num_timesteps": 500}, "objective.num_timesteps is 1000, this model's 500"),
        ({"schedule": "squaredcos_cap_v2"}, "objective.schedule is linear, this model's squaredco"),
        ({"kind": "variational"}, "objective.kind is ddpm, this model's variational"),
    ],
)
def test_a_model_with_another_objective_is_refused(source, changes, message):
    model = denoiser(OLD, 0, objective=ObjectiveConfig(**changes))
    with pytest.raises(Mistake, match=f"train.init_from: the snapshot's {message}"):
        copy_weights(model, TextPrompts(OLD), source)


@pytest.mark.parametrize("gamma_0, slope", [(-6.5, 13.25), (-14.0, -29.0), (-0.5, 2.0)])
def test_a_learned_noise_schedule_is_taken_over(tmp_path, gamma_0, slope):
    """Whatever is in the new config; of slopes the size alone counts."""
    learned = ObjectiveConfig(kind="variational", num_timesteps=200)
    old = denoiser(OLD, 0, objective=learned)
    with torch.no_grad():
        old.objective.gamma_0.fill_(gamma_0)
        old.objective.slope.fill_(slope)
    model = denoiser(OLD, 1, objective=ObjectiveConfig("variational", num_timesteps=200))
    copy_weights(model, TextPrompts(OLD), saved(old, TextPrompts(OLD), tmp_path))
    assert model.objective.gamma_0.item() == pytest.approx(gamma_0, abs=1e-5)
    assert model.objective.slope.item() == pytest.approx(abs(slope), abs=1e-5)
    with pytest.raises(Mistake, match="objective.kind is variational, this model's ddpm"):
        copy_weights(denoiser(OLD, 1), TextPrompts(OLD), Source(tmp_path / "step_00000008", "ema"))


WORDS = {"a": {}, "circle": {"0": 1.0}, "square": {"1": 1.0}, "red": {"2": 1.0}, "blue": {"3": 1.0}}
ROW = {"default": [0.0] * 4, "words": WORDS, "counts": [2, 2]}
PLACE = {"default": [-32.0] * 2, "words": {}, "spans": [(0.0, 32.0)] * 2, "periodic": [False] * 2}


def of_numbers(kind: str, seed: int = 0, **row):
    def conditioner(width: int) -> NumberConditioner:
        return NumberConditioner(kind, width, **row)

    return build_model(TINY, PLAIN, conditioner, (3, 16, 16), seed)


SWAPPED = {**WORDS, "red": WORDS["blue"], "blue": WORDS["red"]}


@pytest.mark.parametrize(
    "kind, row, changes, what",
    [
        ("embeddings", ROW, {"words": SWAPPED}, "the word 'blue'"),
        ("embeddings", ROW, {"default": [0.0, 0.0, 0.0, 0.5]}, "default"),
        ("one_hot", ROW, {"counts": [1, 3]}, "counts"),
        ("coordinates", PLACE, {"spans": [(0.0, 32.0), (0.0, 16.0)]}, "spans"),
        ("coordinates", PLACE, {"periodic": [True] * 2}, "periodic"),
    ],
)
def test_numbers_that_mean_something_else_are_refused(tmp_path, kind, row, changes, what):
    """Though every tensor has its shape."""
    old = of_numbers(kind, **row)
    prompts = NumberPrompts(row["default"], row["words"])
    source = saved(old, prompts, tmp_path)
    message = f"train.init_from: {what} .*use its model.conditioning and world.concepts"
    with pytest.raises(Mistake, match=message):
        copy_weights(of_numbers(kind, 1, **{**row, **changes}), prompts, source)


@pytest.mark.parametrize("kind, row", [("embeddings", ROW), ("coordinates", PLACE)])
def test_the_same_numbers_give_the_same_model(tmp_path, kind, row):
    """Words that only one of the two knows do no harm."""
    old = of_numbers(kind, **row)
    prompts = NumberPrompts(row["default"], row["words"])
    words = {**row["words"], "crimson": {"2": 1.0}} if row["words"] else {}
    words.pop("blue", None)
    model = of_numbers(kind, 1, **{**row, "words": words})
    copy_weights(model, prompts, saved(old, prompts, tmp_path))
    pairs = zip(model.state_dict().values(), old.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
