"""AND and NOT: how they are written, identities, and Gaussians whose composition is one."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion.composition import Composition, add_terms, parse_composition
from diffusion.conditioning import TextConditioner
from diffusion.model import Denoiser, build_model
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_objective, target
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import TextPrompts, build_tokenizer, tokenize
from diffusion.samplers import SAMPLERS, make_sampler, step_noise
from diffusion.sampling import composed, guided, sample
from diffusion.text_encoders import build_text_encoder
from ground.endings import Mistake
from tests.harness.rounding import assert_same_sums, terms_in

TOKENIZER = build_tokenizer(("a", "blue", "circle", "red", "small"), 4)
VARIANCE = 0.02


@pytest.mark.parametrize(
    "text, prompts, weights",
    [
        ("a red circle", ("a red circle",), (1.0,)),
        ("", ("",), (1.0,)),
        ("a  red AND small", ("a red", "small"), (1.0, 1.0)),
        ("a circle AND NOT a red circle", ("a circle", "a red circle"), (1.0, -1.0)),
        ("red:2 AND NOT small:0.5", ("red", "small"), (2.0, -0.5)),
        ("NOT red", ("red",), (-1.0,)),
        ("red:0", ("red",), (0.0,)),
        ("ANDROID NOTE", ("ANDROID NOTE",), (1.0,)),
        ("red:2, AND NOT small:0.5.", ("red", "small"), (2.0, -0.5)),
        ("A RED CIRCLE AND NOT SMALL.", ("A RED CIRCLE", "SMALL."), (1.0, -1.0)),
        ("12.5 3 AND NOT 12.5 -:1e-1", ("12.5 3", "12.5 -"), (1.0, -0.1)),
    ],
)
def test_text_is_read(text, prompts, weights):
    assert parse_composition(text) == Composition(prompts, weights)


@pytest.mark.parametrize(
    "text, message",
    [
        ("red AND", "a term is empty, allowed such as 'a red circle:2 AND NOT"),
        ("AND red", "a term is empty"),
        ("red AND AND blue", "a term is empty"),
        ("red AND NOT", "a term is empty"),
        ("red AND :2", "a term is empty"),
        ("red NOT blue", "NOT stands once, at the head of a term"),
        ("NOT NOT red", "NOT stands once"),
        ("red:x AND blue", "got weight 'x', allowed 0 to 1000 .NOT makes it negative."),
        ("red:-1", "got weight '-1', allowed 0 to 1000"),
        ("red:", "got weight '', allowed 0 to 1000"),
        ("red:nan", "got weight 'nan'"),
        ("red:1001", "got weight '1001'"),
    ],
)
def test_mistakes_in_text_are_named(text, message):
    with pytest.raises(Mistake, match=message) as raised:
        parse_composition(text)
    assert repr(text) in str(raised.value) and "\n" not in str(raised.value)


def test_terms_are_added_to_a_prompt():
    assert add_terms("a circle", ["small:2"], ["red"]) == "a circle AND small:2 AND NOT red"
    with pytest.raises(Mistake, match="NOT stands once"):
        add_terms("a circle", [], ["NOT red"])


@pytest.mark.parametrize(
    "prompts, weights, message",
    [
        ((), (), "got 0 prompts and 0 weights"),
        (("red",), (1.0, 2.0), "got 1 prompts and 2 weights"),
        (("red",), (float("inf"),), "got weight inf, allowed -1000 to 1000"),
    ],
)
def test_what_is_no_composition_is_refused(prompts, weights, message):
    with pytest.raises(Mistake, match=message):
        Composition(prompts, weights)


WORDS = st.lists(st.sampled_from(["a", "red", "small"]), min_size=1, max_size=3).map(" ".join)
TERMS = st.lists(st.tuples(WORDS, st.floats(-1000, 1000).filter(bool)), min_size=1, max_size=4)


@given(TERMS)
def test_what_is_written_reads_the_same(terms):
    composition = Composition(*map(tuple, zip(*terms, strict=True)))
    assert parse_composition(str(composition)) == composition


@pytest.fixture(scope="module")
def model():
    def conditioner(width: int) -> TextConditioner:
        return TextConditioner(build_text_encoder(config.widths, "captions", TOKENIZER))

    config = ModelConfig(size="tiny")
    return build_model(config, ObjectiveConfig(), conditioner, (3, 16, 16), seed=0).eval()


X_T = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2))
T = torch.tensor(500)


def ids(*captions):
    return tokenize(TOKENIZER, captions)


@torch.no_grad()
def one_prediction(model, weights, *terms):
    """Of three images; terms: three captions each."""
    inputs = torch.stack([ids(*captions) for captions in terms], dim=1)
    return composed(model, inputs, torch.tensor([weights] * 3).double(), ids(""))(X_T, T)


def guided_as_it_was(denoiser, inputs, null_inputs, scale):
    """Guidance of one prompt, before prompts could be composed."""
    n = len(inputs)
    if scale in (0.0, 1.0):
        condition = denoiser.encode(inputs if scale == 1.0 else null_inputs.expand(n, -1))
        return lambda x_t, t: denoiser.predict(x_t, t.expand(n), condition)
    both = denoiser.encode(torch.cat((inputs, null_inputs.expand(n, -1))))

    def denoise(x_t, t):
        twice = denoiser.predict(x_t.repeat(2, 1, 1, 1), t.expand(2 * n), both)
        conditional, unconditional = twice.chunk(2)
        return unconditional + scale * (conditional - unconditional)

    return denoise


COLORS, SHAPES, SIZES = ("red", "blue", "red"), ("circle", "a circle", "a"), ("small",) * 3


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.0, 0.3, 7.5, -1.0])
@torch.no_grad()
def test_guidance_keeps_its_bits(model, scale):
    before = guided_as_it_was(model, ids(*COLORS), ids(""), scale)(X_T, T)
    assert torch.equal(guided(model, ids(*COLORS), ids(""), scale)(X_T, T), before)
    assert torch.equal(one_prediction(model, [scale], COLORS), before)


def assert_alike(model, found, expected):
    """Up to rounding: each prediction sums what `terms_in` counts, and up to 4.5 of them, by the
    absolute weights and once more for the null, are added."""
    terms = terms_in(model, positions=X_T[:, 0].numel() * 4)
    assert_same_sums(found, expected, terms, 4.5 * 2 * expected.abs().max())


def test_terms_of_weight_zero_leave_the_others_and_the_null(model):
    null = one_prediction(model, [0.0], COLORS)
    assert torch.equal(one_prediction(model, [0.0, 0.0], COLORS, SHAPES), null)
    red = one_prediction(model, [2.0], COLORS)
    assert_alike(model, one_prediction(model, [2.0, 0.0], COLORS, SHAPES), red)
    assert not torch.allclose(red, null, atol=1e-3)


def test_the_order_of_terms_does_not_matter(model):
    first = one_prediction(model, [2.0, -0.5, 1.0], COLORS, SHAPES, SIZES)
    second = one_prediction(model, [1.0, 2.0, -0.5], SIZES, COLORS, SHAPES)
    assert_alike(model, first, second)


def test_a_composition_is_the_sum_of_its_terms(model):
    null = one_prediction(model, [0.0], COLORS)
    terms = zip((2.0, -0.5), (COLORS, SHAPES), strict=True)
    added = sum(w * (one_prediction(model, [1.0], captions) - null) for w, captions in terms)
    both = one_prediction(model, [2.0, -0.5], COLORS, SHAPES)
    assert_alike(model, both, null + added)


class Gaussians(Denoiser):
    """Knows that x_0 ~ N(m, VARIANCE I): m is the condition, three numbers."""

    def __init__(self, prediction):
        torch.nn.Module.__init__(self)
        self.prediction = prediction
        self.alphas_cumprod = build_objective(ObjectiveConfig()).scheduler().alphas_cumprod.double()

    def encode(self, inputs):
        return inputs.double()[:, :, None, None]

    def predict(self, x_t, t, condition):
        a = self.alphas_cumprod[t].view(-1, 1, 1, 1)
        gain = a.sqrt() * VARIANCE / (a * VARIANCE + 1 - a)
        x_0 = condition + gain * (x_t - a.sqrt() * condition)
        eps = (x_t - a.sqrt() * x_0) / (1 - a).sqrt()
        return target(self.prediction, x_0, eps, a.sqrt(), (1 - a).sqrt()).float()


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_composed_gaussians_are_the_gaussian_of_the_composed_mean(name, prediction):
    """∇ log p_0 + Σ w_i ∇ log (p_i / p_0) of N(m_i, C) is ∇ log N(m_0 + Σ w_i (m_i − m_0), C)."""
    n, null = 400, torch.tensor([[0.05, 0.0, -0.1]])
    means = torch.tensor([[0.3, 0.0, -0.1], [0.05, 0.2, 0.1]])
    weights = torch.tensor([1.5, -0.5], dtype=torch.float64)
    expected = null + (weights.float() @ (means - null))
    x_T = torch.randn(n, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    schedule = {**build_objective(ObjectiveConfig()).scheduler().config}
    denoiser, added = Gaussians(prediction), step_noise(0, torch.arange(n), (3, 1, 1))

    def draw(denoise):
        sampler = make_sampler(name, {**schedule, "prediction_type": prediction}, 50, added)
        return sample(denoise, sampler, x_T)

    several = draw(composed(denoiser, means.expand(n, -1, -1), weights.expand(n, -1), null))
    one = draw(guided(denoiser, expected.expand(n, -1), null, 1.0))
    assert torch.allclose(several, one, atol=1e-3)
    assert torch.allclose(several.mean((0, 2, 3)), expected[0], atol=5 * (VARIANCE / n) ** 0.5)


@pytest.fixture(scope="module")
def pipeline(model):
    return ConceptPipeline.of(model, TextPrompts(TOKENIZER))


def draw(pipeline, prompts, index, scale=1.0):
    options = dict(num_inference_steps=2, guidance_scale=scale, sampler="ddpm")
    return pipeline(prompts, index=torch.tensor(index), **options)


def test_an_image_does_not_depend_on_its_company(pipeline):
    """Bit for bit, whatever stands beside it: plain prompts, compositions, as text or not."""
    prompts = [
        "red",
        Composition(("red", "small"), (1.0, -0.5)),
        "red:2",
        "blue AND small",
        "red:0",
    ]
    together = draw(pipeline, prompts * 2, [0, 1, 2, 3, 4] * 2)
    assert torch.equal(together[:5], together[5:])
    for i, prompt in enumerate(prompts):
        assert torch.equal(draw(pipeline, [prompt], [i])[0], together[i])
    assert len({image.numpy().tobytes() for image in together}) == 5


def test_weights_multiply_guidance(pipeline):
    assert torch.equal(draw(pipeline, ["red:3"], [0]), draw(pipeline, ["red"], [0], scale=3.0))
    assert torch.equal(
        draw(pipeline, ["red:2 AND small"], [0], scale=2.0),
        draw(pipeline, [Composition(("red", "small"), (4.0, 2.0))], [0]),
    )
    null = draw(pipeline, [""], [0])
    assert torch.equal(draw(pipeline, ["red AND small"], [0], scale=0.0), null)


@pytest.mark.parametrize("learned", [False, None, True])
def test_a_null_that_was_never_learned_is_not_used(model, learned, tmp_path):
    """As its snapshot says; those of older versions say nothing."""
    ConceptPipeline.of(model, TextPrompts(TOKENIZER), learned).save_pretrained(tmp_path)
    pipeline = ConceptPipeline.from_pretrained(tmp_path)
    draw(pipeline, ["red", "blue"], [0, 1])
    draw(pipeline, ["red:2"], [0], 0.5)  # of weight 1 in all
    both = Composition(("red", "small"), (1.0, -0.5))
    for prompt, scale in (
        ("red", 2.0),
        ("red", 0.0),
        ("red AND small", 1.0),
        (both, 1.0),
        ("", 1.0),
    ):
        if learned is False:
            message = re.escape(f"prompt '{prompt}' with guidance_scale {scale:g}: allowed are ")
            with pytest.raises(Mistake, match=f"^{message}.* never learned the null condition$"):
                draw(pipeline, [prompt], [0], scale)
        else:
            draw(pipeline, [prompt], [0], scale)


def test_a_term_that_cannot_be_read_is_named_before_anything_is_drawn(pipeline):
    def check():
        raise AssertionError

    with pytest.raises(Mistake, match="prompt 'bleu': unknown word 'bleu'"):
        pipeline(["red", "red AND NOT bleu"], check=check)
