"""A batch is a function of (seed, step), and a process's share a slice of it."""

from dataclasses import replace

import pytest
import torch

from diffusion.batches import BatchStream

STREAM = BatchStream(
    seed=3, num_images=20, batch_size=8, num_timesteps=100, cond_dropout=0.25, shape=(3, 4, 4)
)


@pytest.mark.parametrize("world_size", [2, 4, 8])
@pytest.mark.parametrize("step", [0, 7])
def test_processes_draw_slices_of_the_same_batch(world_size, step):
    whole = STREAM.draw(step)
    shares = [STREAM.draw(step, rank, world_size) for rank in range(world_size)]
    for field in ("image", "t", "eps", "dropped"):
        parts = [getattr(share, field) for share in shares]
        assert torch.equal(torch.cat(parts), getattr(whole, field)), field


def test_every_epoch_shows_each_image_once():
    """20 images in batches of 8: five batches are two epochs, and the third straddles them."""
    seen = torch.cat([STREAM.draw(step).image for step in range(5)])
    assert seen[:20].sort().values.tolist() == list(range(20))
    assert seen[20:].sort().values.tolist() == list(range(20))
    assert seen[:20].tolist() != seen[20:].tolist()


def test_a_batch_may_hold_several_epochs():
    """3 images in batches of 8: three batches are eight epochs."""
    stream = replace(STREAM, num_images=3)
    seen = torch.cat([stream.draw(step).image for step in range(3)])
    assert (seen.view(8, 3).sort(dim=1).values == torch.arange(3)).all()


def test_a_step_read_from_memory_draws_the_same():
    """As a CUDA graph reads it: the same numbers, noise and all."""
    for step, start in ((0, 0), (2, 4)):
        told = (torch.tensor(step), torch.tensor(start))
        first = STREAM.draw_from(STREAM.orders(step), step, start, 4)
        second = STREAM.draw_from(STREAM.orders(step), *told, 4)
        for field in ("image", "t", "eps", "dropped", "place"):
            assert torch.equal(getattr(first, field), getattr(second, field)), field


def test_few_numbers_have_the_checksum_of_all():
    draw = STREAM.draw(5)
    assert draw.few().checksum() == draw.checksum() and draw.few().eps.shape == (8, 16, 1, 1)


def test_steps_and_seeds_differ():
    a, b = STREAM.draw(0), STREAM.draw(1)
    assert not torch.equal(a.eps, b.eps)
    other = BatchStream(4, 20, 8, 100, 0.25, (3, 4, 4)).draw(0)
    assert not torch.equal(a.eps, other.eps)


def test_captions_are_dropped_at_the_stated_rate():
    dropped = torch.cat([STREAM.draw(step).dropped for step in range(500)])
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.03)


@pytest.mark.slow
def test_timesteps_cover_their_range():
    t = torch.cat([STREAM.draw(step).t for step in range(500)])
    assert t.min() == 0 and t.max() == 99
