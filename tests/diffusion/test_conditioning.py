"""What conditioners can and cannot tell apart: identities of their formulas."""

import copy

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion.conditioning import NumberConditioner, TextConditioner
from diffusion.model_config import SIZES
from diffusion.prompts import NumberPrompts, build_tokenizer, tokenize
from diffusion.text_encoders import build_text_encoder
from tests.harness.rounding import assert_same_sums, terms_in

WORDS = ("a", "blue", "circle", "red", "small", "square")
TOKENIZER = build_tokenizer(WORDS, 4)
NAN = float("nan")


def text(conditioning: str, frozen: bool = False) -> TextConditioner:
    torch.manual_seed(0)
    encoder = build_text_encoder(SIZES["tiny"], conditioning, TOKENIZER)
    return TextConditioner(encoder, frozen).eval()


def encode(conditioning: str, *captions: str):
    return text(conditioning)(tokenize(TOKENIZER, captions))


def test_the_bag_of_words_adds_and_ignores_order():
    blue, circle, both, turned, null = encode(
        "captions", "blue", "circle", "blue circle", "circle blue", ""
    ).h
    assert_same_sums(both, blue + circle, terms=2, magnitude=blue.abs() + circle.abs())
    assert torch.equal(both, turned)
    assert torch.equal(null, torch.zeros_like(null))


def test_contextual_pooling_reads_the_end_token():
    """It changes with the order of the words, and equals the last hidden state there."""
    condition = encode("captions_contextual", "blue circle", "circle blue")
    assert not torch.allclose(condition.h[0], condition.h[1], atol=1e-4)
    assert torch.equal(condition.h, condition.tokens[:, 3])  # <bos> w w <eos>


@pytest.mark.parametrize("conditioning", ["captions", "captions_contextual"])
def test_a_short_caption_does_not_see_its_padding(conditioning):
    """Text encoders are causal: tokens up to <eos> are the same without any padding."""
    module = text(conditioning)
    ids = tokenize(TOKENIZER, ["red square"])
    padded, bare = module(ids), module(ids[:, :4])
    terms = terms_in(module, positions=ids.numel())
    assert_same_sums(padded.tokens[:, :4], bare.tokens, terms)
    assert_same_sums(padded.h, bare.h, terms)
    assert padded.mask.tolist() == [[True] * 4 + [False] * 2]


def test_an_end_token_of_id_2_that_also_pads_is_pooled_where_the_text_ends():
    """transformers then pools at the largest id, and no id tells padding from the end."""
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=10, hidden_size=8, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, eos_token_id=2, pad_token_id=2, pooling="end",
    )  # fmt: skip
    ids = torch.tensor([[1, 9, 5, 2, 2, 2]])
    condition = TextConditioner(CLIPTextModel(config).eval())(ids)
    assert torch.equal(condition.h, condition.tokens[:, 3])
    assert condition.mask.tolist() == [[True] * 4 + [False] * 2]


# frozen encoders


class Calls:
    """Counts the forward passes of a module, and the rows of each."""

    def __init__(self, module):
        self.rows = []
        module.register_forward_pre_hook(
            lambda module, args, kwargs: self.rows.append(len(kwargs["input_ids"])),
            with_kwargs=True,
        )


def test_a_frozen_encoder_has_no_gradients_and_stays_in_eval_mode():
    module = text("captions_contextual", frozen=True).train()
    assert module.training and not any(part.training for part in module.text_encoder.modules())
    condition = module(tokenize(TOKENIZER, ["red", "blue"]))
    assert not condition.h.requires_grad and not condition.tokens.requires_grad
    assert not any(weight.requires_grad for weight in module.parameters())


def test_a_frozen_encoder_encodes_each_different_caption_once():
    module, plain = text("captions_contextual", frozen=True), text("captions_contextual")
    calls = Calls(module.text_encoder)
    ids = tokenize(TOKENIZER, ["red", "blue", "red", "a small circle", "blue", "red"])
    first, again, alone = module(ids), module(ids.flip(0)), module(ids[1:2])
    assert calls.rows == [1, 1, 1]
    assert torch.equal(again.h, first.h.flip(0)) and torch.equal(alone.tokens, first.tokens[1:2])
    terms = terms_in(plain, positions=ids.numel())
    assert_same_sums(first.h, plain(ids).h, terms)
    assert_same_sums(first.tokens, plain(ids).tokens, terms)
    assert torch.equal(first.mask, plain(ids).mask)


def test_what_a_frozen_encoder_says_does_not_depend_on_what_it_was_asked_before():
    captions = ["red", "a small circle", "blue square", "small"]
    ids = tokenize(TOKENIZER, captions)
    one, other = text("captions", frozen=True), text("captions", frozen=True)
    other(ids[2:])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(one(ids).tokens, other(ids).tokens)


def test_other_weights_are_encoded_anew():
    """As fine-tuning loads them; a copy or a move to another device must not remember either."""
    module, ids = text("captions", frozen=True), tokenize(TOKENIZER, ["red"])
    before, calls = module(ids).h, Calls(module.text_encoder)
    module.text_encoder.load_state_dict(
        {name: 2 * weight for name, weight in module.text_encoder.state_dict().items()}
    )
    assert torch.equal(module(ids).h, 2 * before) and calls.rows == [1]
    copied = copy.deepcopy(module)
    assert torch.equal(copied(ids).h, module(ids).h)
    assert module.double()(ids).h.dtype == torch.float64


# numbers

HOT = dict(kind="embeddings", default=[0.0] * 5, counts=[3, 2])  # two concepts
KINDS = {
    "vector": dict(kind="vector", default=[0.0] * 4),
    "one_hot": dict(kind="one_hot", default=[0.0] * 5),
    "embeddings": HOT,
    "coordinates": dict(kind="coordinates", default=[-1.0, -1.0], spans=[[0.0, 1.0], [-1.0, 3.0]]),
}


def numbers(width: int = 16, words=None, **options) -> NumberConditioner:
    torch.manual_seed(0)
    return NumberConditioner(width=width, words=words or {}, **options)


def some_rows(options) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(3, len(options["default"]), generator=generator)


@pytest.mark.parametrize("kind", KINDS)
def test_the_null_is_a_parameter_of_its_own(kind):
    """Rows beside it neither change it nor are changed by it, and every gradient is finite."""
    module, rows = numbers(**KINDS[kind]), some_rows(KINDS[kind])
    rows.requires_grad_()
    null = torch.full_like(rows[:1], NAN)
    torch.nn.init.normal_(module.null)
    h = module(torch.cat((rows, null))).h
    assert torch.equal(h[3], module.null)
    assert_same_sums(h[:3], module(rows).h, terms_in(module, positions=len(h)))
    h.square().sum().backward()
    assert torch.allclose(module.null.grad, 2 * module.null)
    gradients = [rows.grad, *(p.grad for p in module.parameters() if p.grad is not None)]
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("kind", ["vector", "one_hot"])
def test_vectors_pass_one_hidden_layer(kind):
    module, rows = numbers(**KINDS[kind]), some_rows(KINDS[kind])
    first, _, second = module.layers
    hidden = rows @ first.weight.T + first.bias
    expected = (hidden * hidden.sigmoid()) @ second.weight.T + second.bias
    assert_same_sums(module(rows).h, expected, terms_in(module, positions=len(rows)))


def test_embeddings_sum_over_the_concepts_that_are_named():
    module = numbers(**HOT)
    blue, small, both, nothing = module(
        torch.tensor([[0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 1, 0, 0, 1], [0.0] * 5])
    ).h
    assert_same_sums(both, blue + small, terms_in(module, positions=4))
    assert not nothing.any()
    alone = module.layers.mlps[0](module.layers.vectors[0][1])
    assert_same_sums(blue, alone, terms_in(module, positions=4))


def test_a_concept_that_is_not_named_contributes_exactly_nothing():
    """Not even a gradient, and whatever its MLP would say."""
    module = numbers(**HOT)
    row = torch.tensor([[0.0, 1, 0, 0, 0]])
    before = module(row).h
    torch.nn.init.constant_(module.layers.mlps[1][2].bias, 100.0)
    after = module(row).h
    assert torch.equal(after, before)
    after.sum().backward()
    assert not any(weight.grad.any() for weight in module.layers.mlps[1].parameters())


def encoding(x, spans, periodic=()):
    rows = torch.tensor(x)[:, None]
    module = numbers(kind="coordinates", default=[0.0], spans=spans, periodic=periodic)
    return module.layers[0](rows)


def test_a_periodic_coordinate_ends_where_it_began():
    """Distances go around: 0.5 lies as near to 15.5 as to 1.5."""
    on_torus = encoding([0.0, 16.0, 0.5, 15.5, 1.5], [[0.0, 16.0]], [True])
    assert torch.allclose(on_torus[0], on_torus[1], atol=1e-4)
    around, along = (on_torus[2] - on_torus[i] for i in (3, 4))
    assert around.norm().item() == pytest.approx(along.norm().item(), rel=1e-4)
    flat = encoding([0.0, 16.0, 8.0], [[0.0, 16.0]])
    assert (flat[0] - flat[1]).norm() > 1


def test_coordinates_are_encoded_by_sines_and_cosines_of_their_place_in_the_span():
    (row,) = encoding([1.0], [[-1.0, 3.0]])  # half-way
    angles = torch.pi * 0.5 * 2.0 ** torch.arange(6)
    assert torch.allclose(row, torch.cat((angles.sin(), angles.cos())), atol=1e-5)


@pytest.mark.parametrize("outside", [-1.001, 3.001, NAN])
def test_a_coordinate_outside_its_span_has_a_learned_encoding(outside):
    module = numbers(**KINDS["coordinates"])
    sinusoids = module.layers[0]
    torch.nn.init.normal_(sinusoids.null)
    named, missing = sinusoids(torch.tensor([[0.5, 1.0], [0.5, outside]]))
    assert torch.equal(missing[12:], sinusoids.null[1]) and torch.equal(missing[:12], named[:12])
    rows = torch.tensor([[0.5, 1.0], [0.5, outside]], requires_grad=True)
    module(rows).h.sum().backward()
    assert rows.grad.isfinite().all() and rows.grad[1, 1] == 0
    assert sinusoids.null.grad[1].any() and not sinusoids.null.grad[0].any()
    assert all(weight.grad.isfinite().all() for weight in module.layers.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_conditioner_in_bf16_reads_the_same_numbers(kind):
    """Up to the rounding of weights and activations, 2⁻⁹ of their size. Coordinates are encoded
    before: bf16 would move .8867 of a span by .001, .1 radians of its finest wave."""
    module, row = numbers(**KINDS[kind]), [0.0, 1.0, 0.0, 1.0, 0.0]
    row = [0.8867, 2.7143] if kind == "coordinates" else row[: len(KINDS[kind]["default"])]
    rows = torch.tensor([row, [NAN] * len(row)])
    exact = module(rows).h
    rounded = copy.deepcopy(module).to(torch.bfloat16)(rows).h
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact).norm() < 8 * 2**-9 * exact.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_conditioner_reads_the_same_prompts_bit_for_bit(kind, tmp_path):
    words = {"a": {}, "red": {"0": 1.0, "1": 0.1}}
    raw, ema = (numbers(**KINDS[kind], words=words) for _ in range(2))
    for weight in ema.parameters():
        torch.nn.init.normal_(weight)
    raw.save_pretrained(tmp_path)
    ema.save_pretrained(tmp_path, variant="ema")
    for variant, module in ((None, raw), ("ema", ema)):
        stored = NumberConditioner.from_pretrained(tmp_path, variant=variant)
        prompts = NumberPrompts(stored.config.default, stored.config.words)
        rows = prompts.inputs(["a red", "a", ""])
        assert torch.equal(stored(rows).h, module(rows).h)
        assert prompts.words == words and stored.config.kind == kind
