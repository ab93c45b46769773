"""Batched training in few dimensions is the plain loop in all of them."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from ground.endings import Mistake
from theory import ensemble
from theory.networks import Network
from theory.plain import train_plainly
from theory.settings import Setting, Training, check_settings, largest_stable_lr
from theory.task import SimTask, augmented_moment, empirical_moment, second_moment
from theory.training import Trajectories, train, train_settings

TASK = SimTask(mu=(1.0, 2.0), sigma=(0.3, 0.5), dim=12, num_points=30, origin_cluster=True)
TRAINING = Training(lr=0.2, batch_size=20)
RECORD = [0, 1, 5, 9, 14]  # of epochs of 5 steps, the last of 10 points
NETWORKS = [
    Network(layers, 5, activation, bias, init_scale=1.5)
    for layers, activation, bias in product((1, 2, 3, 4), ("linear", "relu"), (False, True))
]


def run(setting: Setting, seeds: list[int], record: list[int] = RECORD) -> Trajectories:
    return train(setting.task, setting.network, setting.training, seeds, record)


def assert_plain(setting: Setting, seeds: list[int]) -> None:
    runs = run(setting, seeds)
    for row, seed in enumerate(seeds):
        for key, expected in train_plainly(setting, seed, RECORD).items():
            torch.testing.assert_close(getattr(runs, key)[row], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_it_is_the_plain_loop(network):
    assert_plain(Setting(TASK, network, TRAINING), [3, 7])


@pytest.mark.parametrize(
    "task, network, training",
    [
        (replace(TASK, dim=2, rotation=False), Network(4, 4), TRAINING),
        (TASK, Network(3, 16, "relu"), TRAINING),
        (TASK, Network(3, 16, init="gaussian"), TRAINING),
        (replace(TASK, sigma_is="variance", exclusion_radius=0.9), Network(1), TRAINING),
        (replace(TASK, sigma_is="variance", exclusion_radius=0.9), Network(2, 5, "relu"), TRAINING),
        (TASK, Network(1), replace(TRAINING, order="reshuffled")),
        (TASK, Network(2, 5, "relu"), replace(TRAINING, order="reshuffled")),
        (TASK, Network(3, 5), replace(TRAINING, method="full_batch")),
        (TASK, Network(2, 5, "relu"), replace(TRAINING, method="full_batch")),
    ],
    ids=str,
)
def test_every_other_choice_is_the_plain_loop_too(task, network, training):
    assert_plain(Setting(task, network, training), [11])


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_a_run_is_its_own_whatever_runs_beside_it(activation, monkeypatch):
    monkeypatch.setattr(ensemble, "MOST_RUNS", 5)
    network = Network(2, 5, activation)
    settings = [
        Setting(TASK, network, TRAINING),
        Setting(replace(TASK, mu=(2.0, 1.0)), network, replace(TRAINING, lr=0.1)),
        Setting(replace(TASK, rotation=False), replace(network, init="gaussian"), TRAINING),
    ]
    seeds = [4, 9, 2, 7]
    for setting, together in zip(settings, train_settings(settings, seeds, RECORD), strict=True):
        assert together.flow_times.tolist() == pytest.approx(
            [2 * setting.training.lr / 12 * step for step in RECORD]
        )
        for row, seed in enumerate(seeds):
            alone = run(setting, [seed])
            for key in ("outputs", "corner_losses", "train_loss"):
                torch.testing.assert_close(
                    getattr(together, key)[row], getattr(alone, key)[0], rtol=1e-12, atol=1e-13
                )


@pytest.mark.parametrize(
    "network, training",
    [
        (Network(), Training(lr=0.01, batch_size=1)),
        (Network(3, 4), Training(lr=0.01)),
        (Network(2, 64, "relu"), Training(precision="float32")),
        (Network(2, 64, "relu"), Training(method="full_batch")),
    ],
    ids=str,
)
def test_memory_is_bounded(network, training):
    """An epoch's batches of as many runs as move together, or of one run."""
    setting = Setting(SimTask(num_points=2500), network, training)
    batches = ensemble.Ensemble([(setting, seed) for seed in range(2)]).batches
    parts = (batches.inputs, batches.metric, batches.whole)
    one_run = sum(part.nbytes for part in parts) / 2
    runs = ensemble.runs_at_once(setting)
    assert runs == 1 or runs * one_run <= ensemble.MEMORY_BYTES


def test_single_precision_is_close():
    setting = Setting(TASK, Network(3, 16), TRAINING)
    single = run(replace(setting, training=replace(TRAINING, precision="float32")), [1, 2])
    assert single.outputs.dtype == torch.float32
    torch.testing.assert_close(
        single.outputs.double(), run(setting, [1, 2]).outputs, rtol=0, atol=1e-5
    )


def test_maps_hold_the_norms_of_all_dimensions():
    runs = run(Setting(replace(TASK, dim=40), Network(2, 5), TRAINING), [1])
    corner = torch.tensor([1.0, 2.0, 1.0]).double()
    losses = (runs.maps @ corner).square().sum(-1) / 40
    torch.testing.assert_close(losses, runs.corner_losses[..., -1])
    torch.testing.assert_close((runs.maps @ corner)[..., :2] + corner[:2], runs.outputs)
    assert run(Setting(TASK, Network(2, 5, "relu"), TRAINING), [1], [0]).maps is None


@pytest.mark.parametrize("bias", [False, True])
def test_descent_trails_the_flow_within_its_bound(bias):
    """Per mode x = 2 lr a/dim of M̃: 0 ≤ e^{−nx} − (1−x)^n ≤ n x² e^{−nx}/(2 (1−x))."""
    network, record = Network(1, bias=bias), [0, 1, 10, 100, 1000]
    moment = empirical_moment(TASK, torch.tensor([1, 2]))
    moment = moment if bias else moment[:, :2, :2]
    flow, descent = (
        run(Setting(TASK, network, replace(TRAINING, method=method)), [1, 2], record).maps
        for method in ("flow", "full_batch")
    )
    a, modes = torch.linalg.eigh(moment)
    x, n = (a * 2 * 0.2 / 12)[:, None], torch.tensor(record)[:, None].double()
    start = (flow[:, :1] @ modes[:, None]).square().sum(2).sqrt()
    exact = (flow @ modes[:, None]).square().sum(2).sqrt() / start
    torch.testing.assert_close(exact, torch.exp(-n * x), rtol=1e-10, atol=1e-14)
    behind = exact - (descent @ modes[:, None]).square().sum(2).sqrt() / start
    bound = n * x**2 * torch.exp(-n * x) / (2 * (1 - x))
    assert (behind > -1e-13).all() and (behind < bound + 1e-13).all()
    assert (behind > bound / 4)[:, 1:3].all()  # and it is no idle bound


@pytest.mark.parametrize("method, order", [("flow", 4), ("full_batch", 1)])
def test_the_error_of_steps_has_the_order_of_the_method(method, order):
    setting = Setting(TASK, Network(3, 6), TRAINING)

    def at_time_8(lr: float, method: str) -> torch.Tensor:
        training = Training(lr=lr, method=method)
        return run(replace(setting, training=training), [1, 2, 3], [round(8 / lr)]).outputs

    exact = at_time_8(0.02, "flow")
    coarse, fine = ((at_time_8(lr, method) - exact).norm() for lr in (0.4, 0.2))
    assert torch.log2(coarse / fine).item() == pytest.approx(order, abs=0.5)


def test_minibatches_of_a_fixed_order_stay_near_the_flow():
    """E P^n against E e^{−M̃t}, mu (1, 2) in 64 dimensions: a few thousandths of the start."""
    task = SimTask(origin_cluster=True, num_points=1000)
    record = [24, 240, 960]
    descent = train(task, Network(), Training(), [1, 2], record).maps
    flow = train(task, Network(), Training(method="flow"), [1, 2], record).maps
    start = train(task, Network(), Training(), [1, 2], [0]).maps
    apart = (descent - flow).norm(dim=(2, 3)) / start.norm(dim=(2, 3))
    assert 1e-4 < apart.max() < 3e-3


@pytest.mark.parametrize("num_layers, bias", [*product((1, 2, 3), (False, True))])
def test_step_sizes_beyond_stability_are_refused(num_layers, bias):
    network = Network(num_layers, 5, bias=bias)
    largest = largest_stable_lr(TASK, network)
    with pytest.raises(Mistake, match=rf"lr: got .*, allowed is less than {largest:g}; above, "):
        train(TASK, network, Training(lr=largest * 1.001), [1], [0])
    train(TASK, network, Training(lr=largest * 0.999), [1], [0])


def test_flow_steps_beyond_stability_are_refused():
    """Of several layers; the flow of one is exact whatever the step."""
    long = Training(lr=1000.0, method="flow")
    check_settings([Setting(TASK, Network(num_layers=1), long)])
    with pytest.raises(Mistake, match="lr: got 1000, allowed is less than"):
        check_settings([Setting(TASK, Network(num_layers=2), long)])


def test_one_layer_diverges_beyond_the_limit_and_not_before(monkeypatch):
    monkeypatch.setattr("theory.training.check_settings", lambda settings: None)
    task = replace(TASK, num_points=50_000)
    losses = [
        train(
            task,
            Network(),
            Training(lr=factor * largest_stable_lr(task, Network()), method="full_batch"),
            [1],
            [0, 2000],
        ).train_loss[0]
        for factor in (0.98, 1.02)
    ]
    assert losses[0][1] < losses[0][0] < 1e-3 * losses[1][1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bias", [False, True])
def test_no_factorization_of_the_identity_is_flatter_than_the_limit_says(seed, bias):
    task, (first, second, *biases) = SimTask(dim=2), _random_factors(seed, bias)
    moment = augmented_moment(task) if bias else second_moment(task)
    third = torch.linalg.inv(second @ first)
    last_bias = -third @ (second @ biases[0] + biases[1])

    def loss(*layers):
        error = layers[2] @ layers[1] @ layers[0] - torch.eye(2)
        if bias:
            end = layers[2] @ (layers[1] @ layers[3] + layers[4]) + layers[5]
            error = torch.cat((error, end[:, None]), dim=1)
        return (error @ moment * error).sum() / 2

    layers = (first, second, third, *biases, last_bias)[: 6 if bias else 3]
    blocks = torch.autograd.functional.hessian(loss, layers)
    sizes = [layer.numel() for layer in layers]
    hessian = torch.cat(
        [
            torch.cat([b.reshape(m, n) for b, n in zip(row, sizes, strict=True)], dim=1)
            for row, m in zip(blocks, sizes, strict=True)
        ]
    )
    curvature = torch.linalg.eigvalsh(hessian)[-1].item()
    assert curvature >= 2 / largest_stable_lr(task, Network(3, 2, bias=bias)) * (1 - 1e-9)


def _random_factors(seed: int, bias: bool) -> list[torch.Tensor]:
    """Two layers near the identity and two biases that centre what they pass on, more or less."""
    generator = torch.Generator().manual_seed(seed)
    shift, *parts = (torch.randn(2, 2, generator=generator).double() * 0.1 for _ in range(3))
    first, second = (torch.eye(2).double() + part for part in parts)
    return [first, second, -first @ torch.tensor([0.5, 1.0]).double() + shift[0], shift[1]]


def test_settings_of_several_shapes_are_refused():
    settings = [Setting(TASK, Network(2, width), TRAINING) for width in (4, 5)]
    with pytest.raises(Mistake, match="settings: got 2 shapes, allowed is one: of concepts"):
        train_settings(settings, [1], [0])


@pytest.mark.parametrize("record", [[], [3, 1], [1, 1], [-1, 2]])
def test_steps_out_of_order_are_refused(record):
    with pytest.raises(Mistake, match=r"record: got \[.*\], allowed are increasing steps from 0"):
        train(TASK, Network(), TRAINING, [1], record)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"lr": 0.0}, "lr: got 0, allowed are numbers above 0"),
        ({"batch_size": 0}, "batch_size: got 0, allowed are 1 and more"),
    ],
)
def test_wrong_training_is_refused(wrong, message):
    with pytest.raises(Mistake, match=message):
        Training(**wrong)
