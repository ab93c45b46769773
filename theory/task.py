"""The structured identity mapping task (SIM): clusters along s concepts, and what combines them.

Yang et al., "Swing-by Dynamics in Concept Learning and Compositional Generalization" (ICLR 2025,
arXiv:2410.08309), section 2. Cluster p is normal around mu_p e_p with one diagonal covariance for
all; the target is the input. The *probe* x̂ = Σ mu_p e_p combines what no cluster combines.

All is drawn and kept in *concept coordinates* z ∈ R^s. A network sees x = R z, R ∈ R^{dim×s} with
orthonormal columns. Random numbers are those of `ground/streams.py`; the index of a draw is the
run's seed, so one call draws for many seeds, and each of them what it would draw alone.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from operator import index
from typing import Literal, SupportsIndex, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from ground import streams
from ground.endings import Mistake

SigmaIs = Literal["std", "variance"]
MOST_CONCEPTS = 12  # 4096 corner points
MOST_POINTS = 1 << 24
MOST_SEEDS = 1 << 32
MOST_SIGNAL = 1e6  # of mu and sigma: their squares and products stay far from overflow


@dataclass(frozen=True)
class SimTask:
    """One task. A wrong setting is a Mistake.

    Attributes:
        mu: signal strength of each concept, the distance of its cluster from the origin. The
            number of concepts s is how many there are.
        sigma: diversity of each concept, the spread of all clusters along it.
        sigma_is: what sigma means: std, the standard deviation, as the paper has it; variance, as
            the released code draws its data.
        dim: d, the dimension of what the network sees.
        num_points: n, points per cluster.
        origin_cluster: one more cluster, around 0, as in the released code's two-concept runs.
        rotation: R is random (Haar), one for each seed; else the first s axes.
        exclusion_radius: training points nearer than this to the probe are removed (Fig. 16).
            They leave their minibatch smaller: steps stay paired with a run that keeps them.
    """

    mu: tuple[float, ...] = (1.0, 2.0)
    sigma: tuple[float, ...] = (0.05, 0.05)
    sigma_is: SigmaIs = "std"
    dim: int = 64
    num_points: int = 5000
    origin_cluster: bool = False
    rotation: bool = True
    exclusion_radius: float = 0.0

    def __post_init__(self) -> None:
        check_concepts(self)
        check_sizes(self)
        check_exclusion(self)

    @property
    def s(self) -> int:
        """The number of concepts."""
        return len(self.mu)

    @property
    def num_clusters(self) -> int:
        """P, the number of equally weighted clusters."""
        return self.s + self.origin_cluster

    @property
    def total_points(self) -> int:
        return self.num_clusters * self.num_points

    @property
    def std(self) -> tuple[float, ...]:
        return self.sigma if self.sigma_is == "std" else tuple(map(math.sqrt, self.sigma))


def check_one_of(key: str, got: str, kinds: object) -> None:
    """Raises Mistake unless `got` is one of the strings of the Literal `kinds`."""
    if got not in get_args(kinds):
        raise Mistake(f"{key}: got {got!r}, allowed are {', '.join(get_args(kinds))}")


def check_concepts(task: SimTask) -> None:
    for key, numbers in (("mu", task.mu), ("sigma", task.sigma)):
        if not isinstance(numbers, tuple):
            raise Mistake(f"{key}: got {numbers!r}, allowed is a tuple of numbers, one a concept")
    if not 1 <= task.s <= MOST_CONCEPTS:
        raise Mistake(f"mu: got {task.s} numbers, allowed are 1 to {MOST_CONCEPTS}, one a concept")
    if len(task.sigma) != task.s:
        raise Mistake(f"sigma: got {len(task.sigma)} numbers, allowed are as many as mu, {task.s}")
    for mu in task.mu:
        if not 0 < mu <= MOST_SIGNAL:
            raise Mistake(f"mu: got {mu:g}, allowed are numbers above 0, to {MOST_SIGNAL:g}")
    for sigma in task.sigma:
        if not 0 <= sigma <= MOST_SIGNAL:
            raise Mistake(f"sigma: got {sigma:g}, allowed are 0 to {MOST_SIGNAL:g}")
    check_one_of("sigma_is", task.sigma_is, SigmaIs)


def check_sizes(task: SimTask) -> None:
    if task.dim < task.s:
        raise Mistake(f"dim: got {task.dim}, allowed are {task.s} and more, one a concept of mu")
    if task.num_points < 1 or task.total_points > MOST_POINTS:
        allowed = f"1 to {MOST_POINTS // task.num_clusters}"
        raise Mistake(f"num_points: got {task.num_points}, allowed are {allowed} a cluster")


def check_exclusion(task: SimTask) -> None:
    nearest = (cluster_means(task) - probe(task)).norm(dim=1).min().item()
    if not 0 <= task.exclusion_radius <= nearest:
        allowed = f"0 to {nearest:g}, where the nearest cluster of mu has its mean"
        raise Mistake(f"exclusion_radius: got {task.exclusion_radius:g}, allowed are {allowed}")


def whole_numbers(key: str, values: Iterable[SupportsIndex]) -> list[int]:
    """Whole numbers of a list, an array or a tensor. Mistake, naming `key`, for anything else."""
    try:
        return [index(value) for value in values]
    except TypeError:
        raise Mistake(f"{key}: got {values!r:.60}, allowed are several whole numbers") from None


def as_seeds(seeds: Iterable[SupportsIndex]) -> Int[Tensor, " runs"]:
    """Seeds as a tensor. Mistake unless there are some, whole numbers in [0, 2³²)."""
    numbers = whole_numbers("seeds", seeds)
    if not numbers:
        raise Mistake("seeds: got none, allowed are one and more")
    for seed in numbers:
        if not 0 <= seed < MOST_SEEDS:
            raise Mistake(f"seeds: got {seed}, allowed are whole numbers from 0 to 2**32 - 1")
    return torch.tensor(numbers)


def cluster_means(task: SimTask) -> Float[Tensor, "clusters s"]:
    """Means in concept coordinates, float64; that of the cluster at the origin comes last."""
    means = torch.diag(torch.tensor(task.mu, dtype=torch.float64))
    return pad(means, (0, 0, 0, task.num_clusters - task.s))


def corners(task: SimTask) -> Float[Tensor, "corners s"]:
    """Corners x̂(v) = Σ v_p mu_p e_p, float64, for all v ∈ {0,1}^s, counted in binary: 0…0 first,
    the probe 1…1 last."""
    return torch.tensor(list(product(*((0.0, mu) for mu in task.mu))), dtype=torch.float64)


def probe(task: SimTask) -> Float[Tensor, " s"]:
    """Probe x̂ in concept coordinates, float64."""
    return torch.tensor(task.mu, dtype=torch.float64)


def second_moment(task: SimTask) -> Float[Tensor, "s s"]:
    """A = E[zzᵀ] = diag(a), a_p = Var_p + mu_p²/P, float64; no point is removed from it."""
    variance = torch.tensor(task.std, dtype=torch.float64) ** 2
    return torch.diag(variance + probe(task) ** 2 / task.num_clusters)


def augmented_moment(task: SimTask) -> Float[Tensor, "augmented augmented"]:
    """M̃ = E[z̃z̃ᵀ] = [[A, m], [mᵀ, 1]], z̃ = (z, 1), m = mu/P: what biases put in the place of A."""
    mean = probe(task)[:, None] / task.num_clusters
    bottom = torch.cat((mean.T, torch.ones(1, 1, dtype=torch.float64)), dim=1)
    return torch.cat((torch.cat((second_moment(task), mean), dim=1), bottom))


@dataclass(frozen=True)
class Points:
    """Training points in concept coordinates, in the order in which training meets them.

    Attributes:
        z: float64 (runs, total_points, s).
        kept: False where a point is removed for being too near to the probe.
    """

    z: Float[Tensor, "runs points s"]
    kept: Bool[Tensor, "runs points"]


def draw_points(task: SimTask, seeds: Int[Tensor, " runs"], epoch: int = 0) -> Points:
    """The points of each seed; those of another `epoch` are the same, shuffled anew."""
    cluster = shuffled(seeds, 0, task.total_points) // task.num_points
    noise = streams.normal(0, "sim noise", 0, seeds, task.total_points * task.s)
    z = noise.view(*cluster.shape, task.s).double() * torch.tensor(task.std, dtype=torch.float64)
    z += cluster_means(task)[cluster]
    if epoch:
        order = shuffled(seeds, epoch, task.total_points)
        z = z.take_along_dim(order[..., None], dim=1)
    if not task.exclusion_radius:
        return Points(z, torch.ones_like(cluster, dtype=torch.bool))
    kept = (z - probe(task)).norm(dim=-1) >= task.exclusion_radius
    if not kept.any(1).all():
        seed = seeds[~kept.any(1)][0].item()
        raise Mistake(
            f"exclusion_radius: got {task.exclusion_radius:g}, which leaves seed {seed} no point"
        )
    return Points(z, kept)


def shuffled(seeds: Int[Tensor, " runs"], step: int, length: int) -> Int[Tensor, "runs length"]:
    """A random order of range(length) for each seed: sorts random words that carry their index."""
    words = streams.words(0, "sim order", step, seeds, length)
    keys = (words << 24) | torch.arange(length)
    return torch.from_numpy(np.sort(keys.numpy(), axis=1)) & (MOST_POINTS - 1)  # 20 × torch.sort


def draw_frames(task: SimTask, seeds: Int[Tensor, " runs"]) -> Float[Tensor, "runs dim dim"]:
    """Orthonormal axes of R^dim, float64: R, then axes orthogonal to it."""
    if not task.rotation:
        return torch.eye(task.dim, dtype=torch.float64).repeat(len(seeds), 1, 1)
    normal = streams.normal(0, "sim rotation", 0, seeds, task.dim * task.s)
    frame, upper = torch.linalg.qr(normal.view(-1, task.dim, task.s).double(), mode="complete")
    signs = upper.diagonal(dim1=1, dim2=2).sign()  # makes R uniform over all rotations
    return torch.cat((frame[..., : task.s] * signs[:, None], frame[..., task.s :]), dim=2)


def empirical_moment(
    task: SimTask, seeds: Int[Tensor, " runs"]
) -> Float[Tensor, "runs augmented augmented"]:
    """M̃ of the points that each seed trains on, float64; without last row and column it is A."""
    points = draw_points(task, seeds)
    augmented = pad(points.z, (0, 1), value=1.0)
    kept = augmented * points.kept[..., None]
    return kept.mT @ augmented / points.kept.sum(1)[:, None, None]
