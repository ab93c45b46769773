"""The benchmark of sampling: what it counts, what it chooses on, and the loop it races with."""

import importlib

import numpy as np
import pandas as pd
import pytest
import torch

from diffusion.conditioning import TextConditioner
from diffusion.model import build_model
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import TextPrompts, build_tokenizer
from diffusion.text_encoders import build_text_encoder

TOKENIZER = build_tokenizer(("a", "blue", "circle", "red"), 3)
INDEX = ["run", "step", "combination", "sample"]


@pytest.fixture(scope="module")
def benchmark(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root / "benchmarks"))
        yield importlib.import_module("benchmarks.evaluate")


@pytest.fixture(scope="module")
def pipeline() -> ConceptPipeline:
    config = ModelConfig(size="tiny")

    def conditioner(width: int) -> TextConditioner:
        return TextConditioner(build_text_encoder(config.widths, "captions", TOKENIZER))

    model = build_model(config, ObjectiveConfig(), conditioner, (3, 16, 16), seed=0).eval()
    return ConceptPipeline.of(model, TextPrompts(TOKENIZER))


def test_the_plain_pipeline_draws_the_same_images(benchmark, pipeline):
    noise = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    prompts = ["a red circle", "a blue circle"]
    ours = pipeline(prompts, noise, num_inference_steps=5).numpy().astype(int)
    plain = benchmark.PlainPipeline.like(pipeline)
    for image, prompt, x_T in zip(ours, prompts, noise, strict=True):
        drawn = np.asarray(plain(prompt, 5, latents=x_T[None])).astype(int)
        assert abs(image - drawn).max() <= 1 < abs(image - 128).max()
    assert plain("a red circle", 1).size == (16, 16)


@pytest.mark.slow
def test_evaluations_are_those_of_the_network(benchmark, pipeline):
    ways = benchmark.ways(pipeline.scheduler)
    assert {way.sampler for way in ways} == {*benchmark.SAMPLER_NAMES}
    assert len({way.name for way in ways}) == len(ways) == 15
    assert {8} == {way.evaluations for way in ways if way.sampler == "ddim"}
    for way in {way.sampler: way for way in reversed(ways)}.values():
        calls: list[int] = []
        hook = pipeline.unet.register_forward_hook(lambda *call, calls=calls: calls.append(1))
        pipeline(["a red circle"], sampler=way.sampler, num_inference_steps=way.steps)
        hook.remove()
        assert len(calls) == way.evaluations, way


class Known:
    """In place of a study: of 2000 images, those that a sampler gets wrong are known."""

    def __init__(self, wrong: dict[tuple[str, int], int]):
        self.wrong, self.asked = wrong, []

    def right(self, way, seed: int, images: int) -> pd.Series:
        self.asked.append((way.name, seed, images))
        index = pd.MultiIndex.from_product([["r"], [4], ["c"], range(2000)], names=INDEX)
        return pd.Series(np.arange(2000) >= self.wrong.get((way.name, seed), 1000), index)


def test_what_is_chosen_on_one_seed_is_judged_on_another(benchmark, pipeline):
    wrong = {("ddpm 50", 1): 100, ("ddpm 50", 2): 100, ("heun 4", 1): 101, ("unipc 8", 1): 90}
    study = Known({**wrong, ("heun 4", 2): 105, ("unipc 8", 2): 100})
    tried, chosen = benchmark.equality_study(study, pipeline.scheduler, (1, 2), (2000, 4000))
    assert len(tried) == 15 and chosen["way"].name == "heun 4" and chosen["equal"]
    assert study.asked[-2:] == [("heun 4", 2, 4000), ("ddpm 50", 2, 4000)]
    assert {seed for _, seed, _ in study.asked[:-2]} == {1}
    assert chosen["difference"] == pytest.approx(-5 / 2000)
    seconds = {"tiles of 64": [0.5, 1.0, 2.0], "pipeline loop": [4.0, 4.0, 4.0]}
    ratios = benchmark.ratios(chosen, seconds)
    assert ratios == {"evaluations_vs_p2": 7.14, "seconds_vs_pipeline_loop": 4.0}
    study.wrong["heun 4", 2] = 125  # 1.25 points: inside the margin, but not surely
    _, chosen = benchmark.equality_study(study, pipeline.scheduler, (1, 2), (2000, 4000))
    assert benchmark.ratios(chosen, seconds)["evaluations_vs_p2"] is None
    assert "equal" in benchmark.line(tried[0] | {"equal": True})
