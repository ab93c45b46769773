"""Averages that equal the raw weights lie on the disk once, and are loaded as they are."""

import os

import pytest
import torch

from diffusion.conditioning import TextConditioner
from diffusion.model import build_model, networks
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.optimizer import averaged_copy, build_optimizer
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import TextPrompts, build_tokenizer
from diffusion.snapshots import complete_steps, load_state, save_snapshot, save_state
from diffusion.text_encoders import build_text_encoder
from diffusion.train_config import TrainConfig
from ground.files import damage

TOKENIZER = build_tokenizer(("a", "blue", "circle", "red"), 3)


@pytest.fixture
def raw():
    config = ModelConfig(size="tiny")

    def conditioner(width: int) -> TextConditioner:
        return TextConditioner(build_text_encoder(config.widths, "captions", TOKENIZER))

    return build_model(config, ObjectiveConfig(), conditioner, (3, 16, 16), seed=0)


def weights_of(snapshot) -> dict[str, tuple[int, int]]:
    """How many names each file of raw weights has, and its inode's number."""
    facts = {path.name: os.stat(path) for path in (snapshot / "unet").glob("*.safetensors")}
    return {name: (fact.st_nlink, fact.st_ino) for name, fact in facts.items()}


@pytest.mark.parametrize("changed", [False, True])
def test_equal_averages_are_links_in_snapshots(raw, tmp_path, changed):
    ema = averaged_copy(raw)
    if changed:
        next(ema.unet.parameters()).data[0] += 1
    pipeline = ConceptPipeline.of(raw, TextPrompts(TOKENIZER))
    snapshot = save_snapshot(tmp_path, 3, pipeline, networks(ema))
    files = weights_of(snapshot)
    assert len(files) == 2 and {n for n, _ in files.values()} == {1 if changed else 2}
    assert len({inode for _, inode in files.values()}) == (2 if changed else 1)
    assert damage(snapshot) is None and complete_steps(tmp_path) == [3]
    for weights, network in (("raw", raw), ("ema", ema)):
        loaded = ConceptPipeline.load(snapshot, weights).unet.state_dict()
        assert all(torch.equal(loaded[k], v) for k, v in network.unet.state_dict().items())


def test_equal_averages_are_links_in_states(raw, tmp_path):
    ema, optimizer = averaged_copy(raw), build_optimizer(raw, TrainConfig())
    save_state(tmp_path, 1, raw, ema, optimizer, {})
    next(ema.parameters()).data[0] += 1
    save_state(tmp_path, 2, raw, ema, optimizer, {})
    first, second = (tmp_path / f"step_0000000{step}" for step in (1, 2))
    assert os.path.samefile(first / "raw.safetensors", first / "ema.safetensors")
    assert not os.path.samefile(second / "raw.safetensors", second / "ema.safetensors")
    begun = averaged_copy(raw)
    load_state(first, raw, begun, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(begun.parameters(), raw.parameters(), strict=True))
