"""Hooks by name: what they read, what they change, and that nothing of them stays."""

import pytest
import torch
from torch import nn

from diffusion.activations import (
    check_sites,
    draw_steered,
    draw_swapped,
    editing,
    flat,
    main_sites,
    read_while_drawing,
    reading,
    sites,
    swap,
)
from diffusion.conditioning import NumberConditioner
from diffusion.model import build_model
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.samplers import make_sampler
from ground.endings import Mistake


def conditioner(width: int) -> NumberConditioner:
    return NumberConditioner(
        "coordinates", width, [0.0, 0.0], {}, spans=[[0.0, 8.0]] * 2, periodic=[True, True]
    )


@pytest.fixture(scope="module")
def model():
    """A network of random weights, told centres on a torus."""
    config = ModelConfig(size="tiny", conditioning="coordinates")
    return build_model(config, ObjectiveConfig(), conditioner, (1, 8, 8), seed=0).eval()


@pytest.fixture(scope="module")
def scheduler(model):
    schedule = model.objective.scheduler().config
    return lambda: make_sampler("ddim", schedule, 4)


def noise(n, seed=0):
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


CENTRES = torch.tensor([[1.0, 2.0], [5.0, 6.0], [3.0, 7.5]])
T = torch.tensor(400).expand(3)


def predict(model, centres=CENTRES):
    with torch.no_grad():
        return model.predict(noise(len(centres)), T[: len(centres)], model.encode(centres))


def test_blocks_are_read_in_the_order_of_the_network(model):
    names = main_sites(model)
    assert names[0] == "conditioner" and "unet.mid_block" in names and {*names} <= {*sites(model)}
    with reading(model, names) as found:
        predict(model)
    assert list(found) == names
    assert {len(x) for x in found.values()} == {3}
    assert torch.equal(found["conditioner"], model.encode(CENTRES).h)


def test_nothing_stays_of_a_hook(model):
    before = predict(model)
    with reading(model, ["unet.mid_block"]), editing(model, {"conditioner": torch.zeros_like}):
        assert not torch.equal(predict(model), before)
    assert torch.equal(predict(model), before)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("site", ["conditioner", "unet.down_blocks.1", "unet.mid_block"])
def test_an_edit_that_changes_nothing_changes_nothing(model, site):
    before = predict(model)
    with editing(model, {site: torch.clone}):
        torch.testing.assert_close(predict(model), before)


def test_an_edit_goes_on_along_skip_connections_too(model):
    """A block's output is also the last of those that the decoder gets."""
    block, got = model.unet.down_blocks[1], []
    handle = block.register_forward_hook(lambda module, args, output: got.append(output))
    with editing(model, {"unet.down_blocks.1": torch.zeros_like}):
        changed = []
        second = block.register_forward_hook(lambda m, a, output: changed.append(output))
        predict(model)
        second.remove()
    handle.remove()
    (hidden, skips), (new, new_skips) = got[0], changed[0]
    assert skips[-1] is hidden and new_skips[-1] is new and not new.any()
    assert all(a is b for a, b in zip(skips[:-1], new_skips[:-1], strict=True))


def test_a_swap_exchanges_a_subspace_and_keeps_the_rest():
    x = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(1))
    basis = torch.linalg.qr(torch.randn(6, 2, generator=torch.Generator().manual_seed(2)))[0]
    found, donors = swap(basis)(x).flatten(1), x[3:].flatten(1)
    torch.testing.assert_close(found[:3] @ basis, donors @ basis)
    rest = torch.eye(6) - basis @ basis.T
    torch.testing.assert_close(found[:3] @ rest, x[:3].flatten(1) @ rest)
    assert torch.equal(found[3:], donors) and torch.equal(swap(None)(x)[:3], x[3:])


def test_swapping_all_that_tells_the_condition_draws_the_donor(model, scheduler):
    """From the same noise; swapping nothing draws the image itself."""
    donors = CENTRES.flip(0)
    plain, other = (
        draw_swapped(model, c, donors, scheduler, noise(3), {}) for c in (CENTRES, donors)
    )
    assert (plain - other).abs().max() > 1e-4
    swapped = draw_swapped(model, CENTRES, donors, scheduler, noise(3), {"conditioner": None})
    torch.testing.assert_close(swapped, other, atol=1e-4, rtol=1e-4)
    width = model.conditioner.width
    whole = {"conditioner": torch.eye(width)}
    found = draw_swapped(model, CENTRES, donors, scheduler, noise(3), whole)
    torch.testing.assert_close(found, other, atol=1e-4, rtol=1e-4)


def test_adding_what_tells_two_conditions_apart_draws_the_other(model, scheduler):
    """At the conditioner; directions may differ from step to step, and nothing of them stays."""
    others = CENTRES.flip(0)
    way = model.encode(others).h.detach() - model.encode(CENTRES).h.detach()
    asked = []

    def added(t):
        asked.append(t)
        return {"conditioner": way}

    plain, other = (
        draw_steered(model, c, scheduler, noise(3), lambda t: {}) for c in (CENTRES, others)
    )
    found = draw_steered(model, CENTRES, scheduler, noise(3), added)
    assert (plain - other).abs().max() > 1e-4
    torch.testing.assert_close(found, other, atol=1e-4, rtol=1e-4)
    assert asked == scheduler().timesteps.tolist()
    assert not any(module._forward_hooks for module in model.modules())


def test_what_is_read_on_the_way_is_what_the_network_saw(model, scheduler):
    first = scheduler().timesteps[:1]
    found = {
        (t, site): x
        for t, site, x in read_while_drawing(
            model, CENTRES, scheduler(), noise(3), ["unet.mid_block"], scheduler().timesteps
        )
    }
    assert [t for t, _ in found] == scheduler().timesteps.tolist()
    with reading(model, ["unet.mid_block"]) as kept, torch.no_grad():
        model.predict(noise(3), first.expand(3), model.encode(CENTRES))
    own = kept["unet.mid_block"]
    torch.testing.assert_close(found[int(first), "unet.mid_block"], flat(own))
    torch.testing.assert_close(flat(own, pooled=True), own.mean((2, 3)))


@pytest.mark.parametrize(
    "site, message",
    [
        ("unet.mid_blok", r"--sites: got 'unet.mid_blok' \(did you mean 'unet.mid_block'\?\)"),
        ("nowhere", "allowed conditioner, unet.down_blocks.0, .*, or any module by name"),
        ("unet.down_blocks", "got 'unet.down_blocks'"),
    ],
)
def test_sites_that_do_not_exist_are_refused(model, site, message):
    with pytest.raises(Mistake, match=message):
        check_sites(model, ["unet.mid_block", site])


def test_a_site_that_is_not_called_is_refused(model, scheduler):
    unused = nn.Identity()
    model.unet.add_module("unused", unused)
    read = read_while_drawing(
        model, CENTRES, scheduler(), noise(3), ["unet.unused"], scheduler().timesteps
    )
    with pytest.raises(Mistake, match="unet.unused is never called while this model draws"):
        list(read)
    del model.unet.unused
