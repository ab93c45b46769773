"""Fits give back what is planted, and their draws hold it as often as they say."""

import numpy as np
import pytest
from scipy.special import logit

from theory.curve_fits import best_fit, fit_curves, gain_p
from theory.learning_curves import ALONE, ONE_LAYER, TOGETHER, CurveModel

T = np.linspace(0, 1, 8)
PLANTED = {
    ONE_LAYER.name: np.array([np.log(0.3), np.log(0.1), 0.02, -0.01]),
    ALONE.name: np.array([np.log(1.8), np.log(1.2), logit(0.02), logit(0.03)]),
    TOGETHER.name: np.array([np.log(1.8), np.log(0.9), logit(0.05), logit(0.05), logit(0.8)]),
}
MODELS = (ONE_LAYER, ALONE, TOGETHER)
SD = 0.015


def planted(model: CurveModel) -> np.ndarray:
    return model.curves(PLANTED[model.name][None], T)[0]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_parameters_come_back_from_curves_without_noise(model):
    e = planted(model)
    best, residuals = best_fit(model, T, e, np.full(e.shape, 0.02))
    np.testing.assert_allclose(best, PLANTED[model.name], rtol=2e-2, atol=2e-2)
    assert np.abs(residuals).max() < 1e-2


@pytest.mark.parametrize(
    ("model", "source"),
    [(ONE_LAYER, "snapshots"), (ONE_LAYER, "scenes"), (ONE_LAYER, "both"), (ALONE, "both")],
)
def test_intervals_hold_the_planted_rates_as_often_as_they_say(model, source):
    """Of 40 planted pairs of curves, 80 rates; 95 % intervals hold 68 and more of them but for one
    time in 2000. Noise is of snapshots, of scenes that are the same at all snapshots, or of both.
    """
    rng, e, held = np.random.default_rng(0), planted(model), 0
    for _ in range(40):
        of_scenes = 0.1 * (source != "snapshots") * e
        deviations = rng.normal(size=(60, len(e), 1)) * of_scenes
        noise = rng.normal(size=e.shape) * SD * (source != "scenes")
        seen = e + rng.normal(size=(len(e), 1)) * of_scenes + noise
        fit = fit_curves(model, T, seen, np.full(e.shape, SD), deviations, rng=rng)
        low, high = np.quantile(fit.rates[1:], [0.025, 0.975], axis=0)
        rates = np.exp(PLANTED[model.name][:2])
        held += int(((low <= rates) & (rates <= high)).sum())
    assert held >= 68


def test_too_few_values_are_refused():
    with pytest.raises(ValueError, match="got 4 values for 4 parameters"):
        best_fit(ONE_LAYER, T[:2], np.ones((2, 2)), np.ones((2, 2)))


def test_an_f_test_calls_chance_a_gain_as_often_as_it_says():
    rng, found = np.random.default_rng(0), []
    for _ in range(2000):
        y = rng.normal(size=10)
        line = np.polyval(np.polyfit(np.arange(10.0), y, 1), np.arange(10.0))
        found.append(gain_p(((y - y.mean()) ** 2).sum(), ((y - line) ** 2).sum(), 1, 8) < 0.05)
    assert 0.035 < np.mean(found) < 0.065
    assert gain_p(1.0, 1.0, 1, 8) == 1 and gain_p(1.0, 0.0, 1, 8) == 0
