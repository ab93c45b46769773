"""Starting from another run's snapshot: the same weights, words matched by name."""

import pytest
import torch

from data_gen.endings import Mistake
from diffusion.conditioning import NumberConditioner, TextConditioner
from diffusion.fine_tuning import Source, copy_weights
from diffusion.model import build_model, networks
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import TextPrompts, build_tokenizer
from diffusion.snapshots import save_snapshot
from diffusion.text_encoders import build_text_encoder

OLD = build_tokenizer(["a", "blue", "circle", "red"], max_words=3)
NEW = build_tokenizer(["a", "circle", "green", "red", "small"], max_words=4)
TINY = ModelConfig(size="tiny")


def denoiser(tokenizer, seed: int, config: ModelConfig = TINY):
    def conditioner(width: int) -> TextConditioner:
        return TextConditioner(build_text_encoder(config.widths, "captions", tokenizer))

    return build_model(config, ObjectiveConfig(), conditioner, (3, 16, 16), seed)


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
