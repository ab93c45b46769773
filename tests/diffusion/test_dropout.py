"""Dropout: masks are those of images, and otherwise it is torch's."""

import math

import pytest
import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from diffusion.dropout import ImageDropout, drop, drop_by_image, images_at
from diffusion.fast_layers import speed_up
from diffusion.model import build_unet
from diffusion.model_config import ModelConfig

PLACES = torch.arange(8)
ONES = torch.ones(8, 5000)


def masks(seed=0, step=0, place=PLACES, purpose="layer", rate=0.3):
    with images_at(seed, step, place):
        return drop(ONES[: len(place)], rate, purpose) == 0


def check_share(seen: int, count: int, share: float) -> None:
    """Within five standard errors of a binomial."""
    assert abs(seen - count * share) < 5 * math.sqrt(count * share * (1 - share))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_share_is_dropped_and_the_rest_enlarged(rate):
    x = torch.rand(8, 5000) + 1
    with images_at(0, 0, PLACES):
        y = drop(x, rate, "layer")
    check_share(int((y == 0).sum()), y.numel(), rate)
    kept = y != 0
    lost = 2.0**-16 / (1 - rate)  # rates are rounded down to a multiple of 2⁻¹⁶
    assert torch.allclose(y[kept], x[kept] / (1 - rate), rtol=1.01 * lost)


def test_masks_are_a_function_of_seed_step_layer_and_place_alone():
    first = masks()
    assert torch.equal(masks(place=PLACES[5:]), first[5:])
    assert torch.equal(masks(place=PLACES.flip(0)), first.flip(0))
    others = [masks(seed=1), masks(step=1), masks(purpose="other"), masks(place=PLACES + 8)]
    for other in (*others, first.roll(1, 0)):
        check_share(int((first == other).sum()), first.numel(), 0.3**2 + 0.7**2)


def unet(dropout: float) -> nn.Module:
    torch.manual_seed(0)
    model = build_unet(ModelConfig("tiny", dropout=dropout), (3, 16, 16), 16)
    speed_up(model)
    drop_by_image(model)
    return model


def test_without_dropout_a_model_stays_as_it_is():
    assert not any(isinstance(module, ImageDropout) for module in unet(0.0).modules())


def test_nothing_is_dropped_in_eval_mode():
    x, t, h = torch.randn(2, 3, 16, 16), torch.tensor([3, 400]), torch.randn(2, 16)
    given = dict(encoder_hidden_states=torch.randn(2, 4, 16), class_labels=h)
    plain, dropping = unet(0.0), unet(0.5)
    assert torch.equal(plain(x, t, **given).sample, dropping.eval()(x, t, **given).sample)
    with images_at(0, 0, torch.arange(2)):
        assert not torch.equal(plain(x, t, **given).sample, dropping.train()(x, t, **given).sample)


def clip(rate: float) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=16,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            attention_dropout=rate,
            eos_token_id=1,
            pad_token_id=0,
        )  # fmt: skip
    )


def t5(rate: float) -> T5EncoderModel:
    small = dict(vocab_size=16, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    return T5EncoderModel(T5Config(**small, dropout_rate=rate))


IDS = torch.tensor([[3, 4, 5, 1, 0], [6, 7, 1, 0, 0], [8, 9, 10, 11, 1]])
MASK = (torch.arange(5) <= torch.tensor([3, 2, 4])[:, None]).long()


def hidden(encoder: nn.Module, rows: slice = slice(None), step: int = 0) -> torch.Tensor:
    with images_at(0, step, PLACES[rows][:3]):
        return encoder(input_ids=IDS[rows], attention_mask=MASK[rows]).last_hidden_state


@pytest.mark.parametrize("build", [clip, t5])
def test_text_encoders_drop_by_image_too(build):
    encoder = build(0.4).train()
    drop_by_image(encoder)
    whole = hidden(encoder)
    assert torch.equal(whole, hidden(encoder)) and not torch.equal(whole, hidden(encoder, step=1))
    assert torch.allclose(hidden(encoder, slice(1, 3)), whole[1:], atol=1e-5)


@pytest.mark.parametrize("build", [clip, t5])
def test_an_attention_that_may_drop_is_otherwise_that_of_transformers(build):
    """A rate that rounds to none, in training mode; and the stored config knows nothing of it."""
    torch.manual_seed(0)
    plain, dropping = build(0.0), build(1e-6)
    dropping.load_state_dict(plain.state_dict())
    drop_by_image(dropping.train())
    assert torch.allclose(hidden(plain.train()), hidden(dropping), atol=1e-5)
    assert "attn_implementation" not in dropping.config.to_json_string()
