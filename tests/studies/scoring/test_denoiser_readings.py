"""What is measured of the denoiser, on answers that are planted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.measures.intervals import mean_over_seeds
from analysis.tables.denoiser import obedience_curves
from data_gen.captions import CaptionConfig
from data_gen.dataset import training_set
from data_gen.scenes import draw_scenes
from data_gen.world import World
from diffusion.denoised import Level, level_at
from diffusion.memoriser import Memoriser
from diffusion.objective_config import ObjectiveConfig
from diffusion.pipeline import ConceptPipeline
from ground.endings import Mistake
from studies.experiment.config import read_config
from studies.run.plans import make_plans, memoriser_plan, render_plan
from studies.scoring.evaluate import _common
from studies.scoring.ideal import ideal_of
from studies.scoring.measurements.denoiser import DenoiserReadings, View, readings
from studies.scoring.measurements.measurement import Subject
from studies.worlds.bumps.contrasts import BumpContrasts
from studies.worlds.contrasts import Contrast, Told, answer_from
from studies.worlds.denoiser_config import DenoiserConfig
from studies.worlds.exams import value_places
from studies.worlds.shapes.contrasts import ShapeContrasts
from tests.harness.evaluations import changed
from tests.harness.ideal_networks import planted
from tests.harness.opened import opened

SETTINGS = DenoiserConfig((0.05, 0.1), scenes=6, training_scenes=3, renders=1500)
HELD_OUT = "square blue small"


@pytest.fixture(scope="module")
def measuring(root) -> DenoiserReadings:
    config = read_config(root / "configs" / "tiny.yaml")
    return DenoiserReadings(opened(changed(config, denoiser=SETTINGS)))


def measured(measuring: DenoiserReadings, model) -> pd.DataFrame:
    plan = make_plans(measuring.experiment.config)[0]
    return measuring.measure(Subject(plan, torch.empty(0), [], [], _common(plan), lambda: model))


def ideals(measuring):
    """Of every prompt, the ideal denoiser of its combination."""
    every = ShapeContrasts(measuring.experiment.images.world, measuring.seed, SETTINGS)
    world = every.world
    return {
        world.captioner.write(combination): (
            lambda x_t, level, place=place: answer_from(every.renders(place), x_t, level).mean
        )
        for place, combination in enumerate(world.space.combinations)
    }


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    return obedience_curves(rows, by="combination").set_index(["combination", "level", "concept"])


@pytest.mark.parametrize(
    "objective",
    [
        ObjectiveConfig(),
        ObjectiveConfig(prediction="sample"),
        ObjectiveConfig(prediction="v_prediction", schedule="squaredcos_cap_v2"),
        ObjectiveConfig(kind="variational"),
    ],
    ids=["epsilon", "sample", "v", "variational"],
)
def test_the_ideal_denoiser_obeys_stands_at_1_and_errs_nowhere(measuring, objective):
    answer = ideals(measuring)
    model = planted(lambda prompt, x_t, level: answer[prompt](x_t, level), objective)
    found = curves(measured(measuring, model))
    assert len(found) == 8 * 2 * 3 and (found["refused"] == "").all()
    for name in ("obedience", "low", "high", "coordinate", "coordinate_low", "coordinate_high"):
        np.testing.assert_allclose(found[name], 1, atol=1e-3)
    assert (found["error"] < 1e-6).all() and (found["least_error"] > 1e-3).all()


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_mixture_of_two_ideal_denoisers_gives_back_its_weights(measuring, share):
    answer = ideals(measuring)
    first = next(iter(answer.values()))

    def mixed(prompt, x_t, level):
        """Part of what it is told, part of one combination whatever it is told."""
        return share * answer[prompt](x_t, level) + (1 - share) * first(x_t, level)

    def swapped(prompt, x_t, level):
        """Part of what it is told, part of that with the other color."""
        other = prompt.replace("red", "?").replace("blue", "red").replace("?", "blue")
        return share * answer[prompt](x_t, level) + (1 - share) * answer[other](x_t, level)

    found = curves(measured(measuring, planted(mixed)))
    np.testing.assert_allclose(found["obedience"], share, atol=1e-3)
    found = curves(measured(measuring, planted(swapped))).xs("color", level="concept")
    np.testing.assert_allclose(found["obedience"], 2 * share - 1, atol=1e-3)
    np.testing.assert_allclose(found["coordinate"], share, atol=1e-3)
    np.testing.assert_allclose(found["error_beside"], 0, atol=1e-6)
    np.testing.assert_allclose(found["error_along"], found["error"], atol=1e-6)


@pytest.mark.slow
def test_the_memoriser_stands_where_its_nearest_neighbour_does(measuring):
    every = ShapeContrasts(measuring.experiment.images.world, measuring.seed, SETTINGS)
    world, places = every.world, value_places(every.world)
    neighbour = world.space.index(("square", "blue", "large"))
    wanted = {
        world.captioner.write(c): p for c, p in zip(world.space.combinations, places, strict=True)
    }

    def copied(prompt, x_t, level):
        schedule = torch.full((level.timestep + 1,), level.alpha_bar, dtype=torch.float64)
        shown = places[neighbour].expand(SETTINGS.renders, -1)
        memoriser = Memoriser(every.renders(neighbour), shown, schedule, "sample")
        asked = wanted[prompt].expand(len(x_t), -1)
        return memoriser.denoise(x_t, torch.tensor(level.timestep), asked)

    found = curves(measured(measuring, planted(copied))).loc[HELD_OUT]
    np.testing.assert_allclose(found["obedience"], 0, atol=1e-3)
    for concept, stands in (("shape", 1), ("color", 1), ("size", 0)):
        own = found.xs(concept, level="concept")
        np.testing.assert_allclose(own["coordinate"], stands, atol=1e-2)


@pytest.mark.slow
def test_networks_that_have_learned_nothing_obey_nothing_on_average(measuring):
    """One of them answers to words a little, in some direction; over seeds that is none."""
    obeyed = []
    for seed in range(8):
        experiment = measuring.experiment
        experiment = experiment.changed(replace(experiment.config, seed=seed))
        model = ConceptPipeline.of(experiment.new_model(), experiment.task.conditioning.prompts)
        rows = measured(measuring, model)
        obeyed.append(obedience_curves(rows).set_index(["split", "level", "concept"])["obedience"])
    table = pd.concat(obeyed, axis=1)
    assert (table.abs() < 0.25).all(axis=None)
    for _, values in table.iterrows():
        low, high = mean_over_seeds(values.to_numpy(), rng=np.random.default_rng(0))
        assert low < 0.02 and high > -0.02


def test_gaussian_scenes_have_their_closed_form():
    """Two values with means a distance apart: u = (1 − α gain)(mu_p − mu_q)."""
    s, means, level = 0.2, (0.15, -0.05), Level(0, 0.3)
    gain = level.alpha * s**2 / (level.alpha_bar * s**2 + level.sigma**2)
    noise = torch.randn(30_000, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    renders = [
        ((mean + s * noise + 1) * 127.5).round().clamp(0, 255).to(torch.uint8) for mean in means
    ]
    told = [Told([""] * 200, lambda x, a, r=r: answer_from(r, x, a)) for r in renders]
    scene = means[0] + s * torch.randn(200, 3, 1, 1, generator=torch.Generator().manual_seed(1))
    images = ((scene + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    contrast = Contrast("p", "held_out", 0, images, told[0], {"mean": [told[1]]})
    ideal = ideal_of(contrast, level, seed=0)
    move = (1 - level.alpha * gain) * (means[0] - means[1])
    assert ideal.moves.mean() == pytest.approx(move, rel=0.01)
    x_t = ideal.x_t.flatten(1).double()
    own, other = (mean + gain * (x_t - level.alpha * mean) for mean in means)
    variance = s**2 * level.sigma**2 / (level.alpha_bar * s**2 + level.sigma**2)
    assert ideal.least_error.mean() == pytest.approx(variance, rel=0.1)
    halfway = torch.stack([own, (own + other) / 2])  # told otherwise, it goes half the way
    rows = readings(View(contrast, 0.3, level, ideal), halfway, len(renders[0]))
    rows = rows.assign(run="a", step=0, images_seen=0, train_seed=0, weights="raw", eval_seed=0)
    (line,) = obedience_curves(rows).to_dict("records")
    assert line["obedience"] == pytest.approx(0.5, abs=0.01)
    assert line["coordinate"] == pytest.approx(1, abs=0.02)
    assert line["error"] < 1e-4 and line["refused"] == ""


def test_levels_without_enough_renders_are_refused_and_their_numbers_are_null(measuring):
    few = replace(SETTINGS, levels=(0.02, 0.9), renders=60)
    experiment = measuring.experiment
    other = DenoiserReadings(experiment.changed(changed(experiment.config, denoiser=few)))
    rows = measured(other, planted(lambda prompt, x_t, level: torch.zeros_like(x_t)))
    refused = rows[rows["level"] == 0.9]
    assert refused["refused"].str.fullmatch(r"\d\.\d of 60 renders count, allowed 10 or more").all()
    numbers = ["response", "ideal_response", "offset", "error", "products"]
    assert refused[numbers].isna().all(axis=None) and refused["effective_renders"].notna().all()
    found = obedience_curves(rows).set_index("level")
    assert found.loc[0.9, ["obedience", "low", "coordinate"]].isna().all(axis=None)
    assert found.loc[0.9, "refused"].str.contains("renders count").all()


def test_a_concept_that_no_image_shows_is_refused(tiny_config):
    color = replace(tiny_config.concepts["color"], signal=0.0, jitter=0.0)
    concepts = {**tiny_config.concepts, "color": color}
    config = replace(tiny_config, concepts=concepts, held_out=())
    contrasts = ShapeContrasts(World(config, CaptionConfig()), 0, SETTINGS)
    ideal = ideal_of(contrasts.contrast(0), Level(0, 0.05), 0)
    shape, color, size = ideal.refusals(SETTINGS.renders)
    assert (shape, size) == (None, None)
    assert color == "the concept moves the ideal answer by nothing"


def test_scenes_and_renders_are_none_that_training_shows(tiny_world):
    training = {image.numpy().tobytes() for image in training_set(tiny_world).images}
    contrasts = ShapeContrasts(tiny_world, tiny_world.config.seed, SETTINGS)
    for place in range(contrasts.count):
        fresh = torch.cat([contrasts.contrast(place).images, contrasts.renders(place)])
        own = {image.numpy().tobytes() for image in fresh}
        assert len(own) == len(fresh) and not own & training


def test_renders_of_two_combinations_differ_in_one_concept_alone(tiny_world):
    index = torch.arange(20)
    first, second = (
        draw_scenes(tiny_world, torch.full((20,), place), 0, "denoiser.render", index)
        for place in (0, 1)  # circle red large, circle red small
    )
    for factor in ("x", "y", "background", "color", "rotation", "shape"):
        assert torch.equal(first.numbers(factor), second.numbers(factor))
    assert (first.size > second.size).all()


def test_several_values_are_averaged(root):
    config = read_config(root / "configs" / "quickstart.yaml")
    contrasts = ShapeContrasts(config.terms.terms, 0, replace(SETTINGS, scenes=2, renders=50))
    place = config.terms.terms.space.index(("square", "yellow", "small"))
    contrast, level = contrasts.contrast(place), Level(0, 0.02)
    assert {name: len(o) for name, o in contrast.others.items()} == dict(shape=2, color=3, size=1)
    ideal = ideal_of(contrast, level, 0)
    others = [told.ideal(ideal.x_t, level).mean for told in contrast.others["color"]]
    wanted = contrast.told.ideal(ideal.x_t, level).mean - torch.stack(others).mean(0)
    assert torch.allclose(ideal.moves[1], wanted.flatten(1).float(), atol=1e-6)


@pytest.mark.parametrize("name", ["bumps_torus_small", "bumps_bands_small"])
def test_bumps_are_moved_half_an_image_along_x_and_y(root, name):
    config = read_config(root / "configs" / f"{name}.yaml")
    measuring = DenoiserReadings(opened(changed(config, denoiser=SETTINGS)))
    contrasts = BumpContrasts(config.world, 0, SETTINGS)
    images = {}
    for place in range(contrasts.count):
        contrast = contrasts.contrast(place)
        told = [contrast.told, *(one for others in contrast.others.values() for one in others)]
        for one in told:
            x_0 = one.ideal(torch.empty(0), Level(0, 0.5)).mean
            images |= dict(zip(one.prompts, x_0, strict=True))
    rows = measured(
        measuring,
        planted_each(lambda prompt: images[prompt]),
    )
    found = curves(rows)
    assert {*found.index.get_level_values("concept")} == {"x", "y"}
    np.testing.assert_allclose(found[["obedience", "coordinate"]], 1, atol=1e-3)
    assert np.isinf(rows["effective_renders"]).all() and (rows["move_error"] == 0).all()


def planted_each(image):
    """A network that means one image of a prompt, whatever it sees."""
    return planted(lambda prompt, x_t, level: image(prompt).expand(len(x_t), -1, -1, -1))


def test_sections_that_show_one_coordinate_are_left_out(root):
    config = read_config(root / "configs" / "bumps_torus_small.yaml").world
    both = replace(config, periodic=False, examples="both", margin=8.0)
    names = [BumpContrasts(both, 0, SETTINGS).sections[i][1].name for i in range(2)]
    assert not [name for name in names if "1d" in name or "blank" in name]


def test_only_snapshots_asked_by_captions_are_measured(measuring):
    config = measuring.experiment.config
    plan = make_plans(config)[0]
    assert measuring.measures(plan) and not measuring.measures(replace(plan, intervention="pairs"))
    assert not measuring.measures(render_plan(config))
    variational = replace(config, objective=ObjectiveConfig(kind="variational"))
    assert not measuring.measures(memoriser_plan(variational))


def test_a_network_of_numbers_that_are_not_finite_is_refused(measuring):
    model = planted(lambda prompt, x_t, level: torch.full_like(x_t, torch.nan))
    with pytest.raises(Mistake, match="planted: puts out numbers that are not finite"):
        measured(measuring, model)


def test_the_noise_of_a_level_is_the_same_under_every_objective(measuring):
    contrast = measuring.contrasts[0]
    schedules = [ObjectiveConfig(), ObjectiveConfig(schedule="squaredcos_cap_v2")]
    found = [
        planted(lambda *_: None, objective).scheduler.alphas_cumprod for objective in schedules
    ]
    levels = [level_at(alphas_cumprod, 0.05) for alphas_cumprod in found]
    first, second = (ideal_of(contrast, level, 0).x_t for level in levels)
    assert torch.allclose(first, second, atol=0.01)
