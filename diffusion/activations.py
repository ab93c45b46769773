"""Activations of a network's modules, by name: read them, or change them, while it draws.

A site is the name of a module of a denoiser, such as unet.mid_block. Forward hooks do the work, so
nothing of the network is changed, and nothing stays when a context ends.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from diffusion.conditioning import Condition
from diffusion.model import Denoiser
from diffusion.sampling import sample
from ground.endings import Mistake, nearest

BLOCKS = ("down_blocks", "up_blocks")  # of diffusers' U-Nets, lists of modules

Edit = Callable[[Tensor], Tensor]


def sites(denoiser: Denoiser) -> list[str]:
    """Names of all modules whose activations can be read, in the order of the network."""
    lists = (nn.ModuleList, nn.ParameterList)
    return [n for n, module in denoiser.named_modules() if n and not isinstance(module, lists)]


def main_sites(denoiser: Denoiser) -> list[str]:
    """Names of the conditioner and then of the blocks: encoder, middle, decoder."""
    blocks = [f"unet.{n}.{i}" for n in BLOCKS for i in range(len(getattr(denoiser.unet, n)))]
    half = len(denoiser.unet.down_blocks)
    return ["conditioner", *blocks[:half], "unet.mid_block", *blocks[half:]]


def check_sites(denoiser: Denoiser, asked: Sequence[str]) -> None:
    """Raise Mistake for a name that no module has."""
    known = tuple(sites(denoiser))
    for name in asked:
        if name not in known:
            hint = nearest(name, known)
            blocks = ", ".join(main_sites(denoiser))
            raise Mistake(f"--sites: got {name!r}{hint}, allowed {blocks}, or any module by name")


@contextmanager
def reading(denoiser: Denoiser, names: Sequence[str]) -> Iterator[Mapping[str, Tensor]]:
    """Context in which the last activation of each site is kept, by name, detached."""
    found: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name in names:

            def keep(module: nn.Module, args: Any, output: Any, name: str = name) -> None:
                found[name] = activation(output, name).detach()

            handle = denoiser.get_submodule(name).register_forward_hook(keep)
            hooks.callback(handle.remove)
        yield found


@contextmanager
def editing(denoiser: Denoiser, edits: Mapping[str, Edit]) -> Iterator[None]:
    """Context in which the activation of each site is what its edit makes of it, wherever it goes
    on from there: to the next layer and along skip connections."""
    with ExitStack() as hooks:
        for name, edit in edits.items():

            def change(
                module: nn.Module, args: Any, output: Any, name: str = name, edit: Edit = edit
            ) -> Any:
                before = activation(output, name)
                return _exchanged(output, before, edit(before))

            handle = denoiser.get_submodule(name).register_forward_hook(change)
            hooks.callback(handle.remove)
        yield


def activation(output: Any, name: str) -> Tensor:
    """The activation in what a module returns: a tensor, the first of several, h of a condition.

    Raises Mistake, naming the site, where there is none.
    """
    if isinstance(output, Condition):
        return output.h
    first = output[0] if isinstance(output, tuple) and output else output
    first = getattr(first, "last_hidden_state", first)
    if not isinstance(first, Tensor):
        raise Mistake(
            f"--sites: {name} returns {type(output).__name__}, allowed modules that return tensors"
        )
    return first


def _exchanged(output: Any, before: Tensor, after: Tensor) -> Any:
    """An output with a tensor exchanged, at every place where that same tensor stands."""
    if output is before:
        return after
    if isinstance(output, Condition):
        return replace(output, h=after)
    if isinstance(output, tuple):
        return tuple(_exchanged(part, before, after) for part in output)
    return output


def flat(x: Float[Tensor, "n ..."], pooled: bool = False) -> Float[Tensor, "n d"]:
    """Activations as rows. pooled: the mean over space, or over tokens, which have no channels
    first: (n, c, h, w) and (n, l, c) become (n, c)."""
    if pooled and x.ndim > 2:
        x = x.flatten(2).mean(2) if x.ndim == 4 else x.mean(1)
    return x.flatten(1)


def swap(basis: Float[Tensor, "d k"] | None) -> Edit:
    """Edit of a batch of receivers, first half, and donors: receivers get the donors' part within a
    subspace, and keep all else. Donors stay as they are.

    basis: orthonormal columns, as `flat` without pooling writes them; None: the whole space.
    """

    def edit(x: Tensor) -> Tensor:
        receivers, donors = x.chunk(2)
        if basis is None:
            return torch.cat((donors, donors))
        own = basis.to(x)
        moved = ((donors - receivers).flatten(1) @ own) @ own.T
        return torch.cat((receivers + moved.view_as(receivers), donors))

    return edit


def add(direction: Float[Tensor, "n d"]) -> Edit:
    """Edit that adds a direction to every activation of a batch, as `flat` without pooling writes
    it."""
    return lambda x: x + direction.to(x).view_as(x)


@torch.no_grad()
def read_while_drawing(
    denoiser: Denoiser,
    inputs: Tensor,
    scheduler: Any,
    x_T: Float[Tensor, "n c h w"],
    names: Sequence[str],
    timesteps: Int[Tensor, " levels"],
    pooled: bool = False,
) -> Iterator[tuple[int, str, Float[Tensor, "n d"]]]:
    """Yield (timestep, site, activations) of n images on their way from x_T, float32 on the CPU.

    inputs: raw rows for `denoiser.encode`. timesteps: those of the scheduler's that are read.
    Drawing ends with the last of them. Raises Mistake for a site that the network never calls.
    """
    wanted = {int(t) for t in timesteps}
    with reading(denoiser, names) as found:
        condition, x_t = denoiser.encode(inputs), x_T
        for t in scheduler.timesteps:
            output = denoiser.predict(x_t, t.to(x_t.device).expand(len(x_t)), condition)
            if int(t) in wanted:
                yield from _read(int(t), names, found, pooled)
                wanted.remove(int(t))
            if not wanted:
                return
            x_t = scheduler.step(output, t, x_t).prev_sample


def _read(
    t: int, names: Sequence[str], found: Mapping[str, Tensor], pooled: bool
) -> Iterator[tuple[int, str, Tensor]]:
    for name in names:
        if name not in found:
            raise Mistake(f"--sites: {name} is never called while this model draws; read another")
        yield t, name, flat(found[name], pooled).float().cpu()


@torch.no_grad()
def draw_swapped(
    denoiser: Denoiser,
    inputs: Tensor,
    donors: Tensor,
    make_scheduler: Callable[[], Any],
    x_T: Float[Tensor, "n c h w"],
    bases: Mapping[str, Float[Tensor, "d k"] | None],
) -> Float[Tensor, "n c h w"]:
    """Images x_0 of `inputs` drawn from x_T while the subspaces `bases`, by site (None: all of it),
    are swapped at every step with those of `donors`, conditions that are drawn from the same
    noise."""
    edits = {name: swap(basis) for name, basis in bases.items()}
    with editing(denoiser, edits):
        condition = denoiser.encode(torch.cat((inputs, donors)))

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            return denoiser.predict(x_t, t.expand(len(x_t)), condition)

        return sample(denoise, make_scheduler(), torch.cat((x_T, x_T))).chunk(2)[0]


@torch.no_grad()
def draw_steered(
    denoiser: Denoiser,
    inputs: Tensor,
    make_scheduler: Callable[[], Any],
    x_T: Float[Tensor, "n c h w"],
    added: Callable[[int], Mapping[str, Float[Tensor, "n d"]]],
) -> Float[Tensor, "n c h w"]:
    """Images x_0 of `inputs` drawn from x_T while directions are added at every step: `added` says
    of a timestep which, by site."""

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        edits = {name: add(direction) for name, direction in added(int(t)).items()}
        with editing(denoiser, edits):  # the conditioner is a site too, so it is asked anew
            return denoiser.predict(x_t, t.expand(len(x_t)), denoiser.encode(inputs))

    return sample(denoise, make_scheduler(), x_T)
