"""Training: the same run on any number of processes, leaving snapshots and states behind."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from diffusion.batches import BatchStream, Draw
from diffusion.compiled import compile_checked
from diffusion.conditioning import known_conditions
from diffusion.cuda_graph import Made, Moment, Passes, graph_checked, why_not
from diffusion.dropout import drop_by_image, images_at
from diffusion.fine_tuning import Source, copy_weights
from diffusion.gradients import GradientBuffer, flatten
from diffusion.model import DiffusionModel, frozen_networks, networks
from diffusion.optimizer import averaged_copy, build_optimizer, learning_rate
from diffusion.pipeline import ConceptPipeline
from diffusion.precision import Precision
from diffusion.processes import Processes, StopVote
from diffusion.prompts import Prompts
from diffusion.records import ImageLosses, Records, Row, Step
from diffusion.snapshots import (
    complete_steps,
    last_state,
    load_frozen,
    load_state,
    save_snapshot,
    save_state,
    steps_in,
)
from diffusion.train_config import TrainConfig, count_parts, parse_schedule
from diffusion.training_data import TrainingData, image_losses
from ground.endings import Mistake, Preempted
from ground.files import hash_file, hash_rows, read_json, remove_unfinished
from ground.streams import Step as Number

FLUSH_EVERY = 20  # steps between looks at the losses: one synchronisation each


class Diverged(Mistake):
    """A loss or a weight is not finite any more."""


class Trainer:
    """One training run in one directory; continues from the last complete state found there.

    Args:
        model: with new weights.
        prompts: what turns words into the conditioner's inputs; goes into the snapshots.
        directory: the run directory; metrics, snapshots/ and state/ go there.
        find_source: gives another run's snapshot to start from, if this run has no state yet.
        should_stop: asked after every step, of several processes every second (`StopVote`); if any
            process says yes, the state is saved and `Preempted` raised.
        after_snapshot: called when a snapshot is there, on every process; its seconds count as
            those of saving.
    """

    def __init__(
        self,
        data: TrainingData,
        model: DiffusionModel,
        prompts: Prompts,
        config: TrainConfig,
        *,
        seed: int,
        directory: Path,
        processes: Processes,
        find_source: Callable[[], Source | None] = lambda: None,
        should_stop: Callable[[], bool] = lambda: False,
        after_snapshot: Callable[[], object] = lambda: None,
    ):
        self.config, self.directory = config, directory
        self.vote, self._after_snapshot = StopVote(processes, should_stop), after_snapshot
        self.processes, device = processes, processes.device
        self.parts = count_parts(config, processes.world_size)
        self.share = config.batch_size // self.parts
        assert config.precision != "auto", "what decides it needs this trainer's model and data"
        self.precision: Precision = config.precision
        self.seed, self.prompts, self.data = seed, prompts, data.to(device)
        self.raw = model.to(device).train()
        if config.channels_last:
            self.raw.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        drop_by_image(self.raw)
        self.ema = averaged_copy(self.raw).eval()
        self.trained: list[Tensor] = [p for p in self.raw.parameters() if p.requires_grad]
        averages: list[Tensor] = [
            average
            for average, p in zip(self.ema.parameters(), self.raw.parameters(), strict=True)
            if p.requires_grad
        ]
        self.weights, self.average = flatten(self.trained), flatten(averages)
        batches = draw_batches(data, model, config, seed)
        self.batches = batches.on(device)
        self.optimizer = build_optimizer(self.raw, config)
        self.records = Records(directory, config, processes, data.combinations)
        self.step = self._restore(find_source)
        self.gradients = GradientBuffer(self.trained, processes, config.reduction == "in_order")
        self.snapshots = parse_schedule(config.snapshots, config.max_steps, "train.snapshots")
        self.data = replace(
            self.data, conditions=known_conditions(self.raw.conditioner, self.data.inputs)
        )
        first = batches.draw(0, processes.rank, self.parts)
        processes.check_different("part of the batch", first.checksum())
        self.model = self._compile() if config.compile else self.raw
        self.passes, self.cuda_graph = self._graphed()

    def run(self) -> None:
        """Train to max_steps. Raises Preempted or Diverged, with everything before them saved."""
        self._keep_snapshot()
        self._show_snapshot()
        with self._progress_bar() as bar:
            while self.step < self.config.max_steps:
                self._train_step()
                bar.update()
                stop = self.vote.stop()
                if stop or self._saving_due() or len(self.records.pending) >= FLUSH_EVERY:
                    self.records.flush(self._check_finite)
                    self._keep_snapshot()
                    if stop or self._state_due():
                        self._keep_state()
                    bar.set_postfix(self._progress(), refresh=False)
                if stop:
                    raise Preempted(f"stopped after step {self.step}, state saved")
                self._show_snapshot()

    def _train_step(self) -> None:
        rate = learning_rate(self.config, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.gradients.zero()
        made = [self._micro_batch(part) for part in self._own_parts()]
        loss = self.gradients.reduce()
        norm = self.gradients.clip(self.config.clip_grad_norm)
        self.optimizer.step()
        self._average()
        self.step += 1
        self._record(rate, loss, norm, made)

    def _record(self, rate: float, loss: Tensor, norm: Tensor, made: list[Made]) -> None:
        draws, losses = zip(*made, strict=True)
        own_loss = torch.stack([part.mean() for part in losses]).sum() / len(losses)
        images = ImageLosses(
            torch.cat(losses),
            torch.cat([self.raw.objective.timestep_quartile(draw.t) for draw in draws]),
            self.data.combination[torch.cat([draw.image for draw in draws])],
        )
        self.records.pending.append(Step(self.step, rate, loss, norm, own_loss, draws, images))

    def _own_parts(self) -> range:
        """The micro-batches of this process, in order: every world_size-th."""
        return range(self.processes.rank, self.parts, self.processes.world_size)

    def _own_draws(self) -> list[Draw]:
        return [self.batches.draw(self.step, part, self.parts) for part in self._own_parts()]

    def _micro_batch(self, part: int) -> Made:
        """Add its share of the gradient; returns few numbers of what was drawn, and the losses of
        its images."""
        made = self.passes(*self._moment(self.step, part))
        self.gradients.collect()
        return made

    def _moment(self, step: int, part: int) -> Moment:
        return Moment(self.batches.orders(step), step, part * self.share)

    def _both_passes(self, orders: Tensor, step: Number, start: Number) -> Made:
        draw = self.batches.draw_from(orders, step, start, self.share)
        return draw.few(), self._add_gradient(draw, step)

    def _add_gradient(self, draw: Draw, step: Number) -> Tensor:
        """Of this micro-batch's share of the mean loss; returns the losses of its images."""
        losses = self._losses(self.model, draw, step)
        self.gradients.add(losses.mean() / self.parts)
        return losses.detach()

    def _losses(self, model: nn.Module, draw: Draw, step: Number) -> Tensor:
        with images_at(self.seed, step, draw.place):
            return image_losses(model, self.data, draw, self.precision)

    def _graphed(self) -> tuple[Passes, str]:
        """The passes of a micro-batch, as a CUDA graph if the config asks for it and it is one, and
        what became of it."""
        reason = why_not(self.config, self.processes.device)
        if reason is not None:
            return self._both_passes, reason
        parts = self._own_parts()
        moments = [self._moment(self.step, parts[0]), self._moment(self.step + 1, parts[-1])]
        return graph_checked(self._both_passes, self.gradients.flat, moments, self.precision)

    def _compile(self) -> nn.Module:
        draw = self._own_draws()[0]

        def loss_of(model: nn.Module) -> Tensor:
            return self._losses(model, draw, self.step).mean()

        return compile_checked(self.raw, loss_of, self.precision)

    @torch.no_grad()
    def _average(self) -> None:
        """θ_ema ← d·θ_ema + (1 − d)·θ, d = min(ema_decay, (1 + t) / (10 + t))."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        self.average.lerp_(self.weights, 1 - decay)

    def _state_due(self) -> bool:
        return self.step % self.config.state_every == 0 or self.step == self.config.max_steps

    def _saving_due(self) -> bool:
        return self.step in self.snapshots or self._state_due()

    def _check_finite(self, row: Row) -> None:
        if not math.isfinite(row["loss"]):
            raise Diverged(
                f"train: loss is {row['loss']} at step {row['step']} (learning rate "
                f"{row['learning_rate']:g}); {self._last_good()}; lower train.learning_rate"
            )

    def _last_good(self) -> str:
        steps = complete_steps(self.directory / "snapshots")
        return f"the last good snapshot is step {steps[-1]}" if steps else "no snapshot was saved"

    def _keep_snapshot(self) -> None:
        """Save this step's snapshot if the schedule asks for it.

        One that a killed training left is replaced, unless it is the same.
        """
        if self.step not in self.snapshots:
            return
        self._check_weights()
        with self.records.saving():
            self.processes.once(self._save_snapshot)

    def _save_snapshot(self) -> None:
        pipeline = ConceptPipeline.of(self.raw, self.prompts, self.null_learned)
        frozen = frozen_networks(self.raw)
        averages = {n: part for n, part in networks(self.ema).items() if n not in frozen}
        save_snapshot(self.directory / "snapshots", self.step, pipeline, averages, frozen)

    def _show_snapshot(self) -> None:
        """Let others look at this step's snapshot; the state, if it is due, is saved already."""
        if self.step in self.snapshots:
            with self.records.saving():
                self._after_snapshot()

    def _keep_state(self) -> None:
        self._check_weights()
        with self.records.saving():
            self.processes.once(self._save_state)

    def _save_state(self) -> None:
        progress = {
            "rows_written": self.records.rows_written,
            "metrics_sha256": hash_file(self.records.metrics),
            "null_learned": self.null_learned,
        }
        parent = self.directory / "state"
        save_state(parent, self.step, self.raw, self.ema, self.optimizer, progress)

    def _check_weights(self) -> None:
        """On every process: all must stop together."""
        for name, parameter in self.raw.named_parameters():
            if not torch.isfinite(parameter).all():
                raise Diverged(
                    f"train: weight {name} is not finite after step {self.step} (learning rate "
                    f"{learning_rate(self.config, self.step):g}); {self._last_good()}; lower "
                    f"train.learning_rate"
                )

    def _restore(self, find_source: Callable[[], Source | None]) -> int:
        """Go back to the last usable state, or to the start; returns its step."""
        self.processes.once(self._remove_unfinished)
        directory = self.processes.once(
            lambda: last_state(self.directory / "state", self._unlike_metrics)
        )
        progress: dict[str, Any] = {"step": 0, "rows_written": 0}
        if directory is not None:
            progress = load_state(directory, self.raw, self.ema, self.optimizer)
            parts = networks(self.raw)
            for name in frozen_networks(self.raw):
                load_frozen(self.directory / "snapshots", name, parts[name])
        else:
            progress["null_learned"] = self._begin(find_source())
        dropped = self.config.cond_dropout > 0
        self.null_learned = dropped or progress.get("null_learned")  # older states do not say
        self.processes.share([*self.raw.state_dict().values(), *self.ema.state_dict().values()])
        self.records.start(progress["step"], progress["rows_written"])
        return progress["step"]

    def _begin(self, source: Source | None) -> bool | None:
        """Take the source's weights, if there is one. Returns what `copy_weights` does."""
        if self.processes.once(lambda: steps_in(self.directory / "state")):
            raise Mistake(
                f"{self.directory / 'state'}: holds no state that can be used; restore one, or "
                f"move it away to start over"
            )
        if source is None:
            return False
        learned = copy_weights(self.raw, self.prompts, source)
        self.ema.load_state_dict(self.raw.state_dict())
        return learned

    def _remove_unfinished(self) -> None:
        for name in ("snapshots", "snapshots/frozen", "state"):
            remove_unfinished(self.directory / name)

    def _unlike_metrics(self, state: Path) -> str | None:
        """What makes a state unusable: rows it counts on are not there."""
        progress = read_json(state / "progress.json")
        expected = progress.get("metrics_sha256")  # states of older versions know none
        if expected in (None, hash_rows(self.records.metrics, progress["rows_written"])):
            return None
        return f"{self.records.metrics} lost or changed rows since it was saved"

    def _progress(self) -> dict[str, str]:
        speed = self.records.time(self.step)["images_per_second"]
        return {"loss": f"{self.records.last_loss:.4f}", "images/s": f"{speed:.0f}"}

    def _progress_bar(self) -> tqdm:
        return tqdm(
            total=self.config.max_steps,
            initial=self.step,
            desc="train",
            unit="step",
            disable=None if self.processes.is_main else True,
        )


def draw_batches(
    data: TrainingData, model: DiffusionModel, config: TrainConfig, seed: int
) -> BatchStream:
    """What each step of a training draws."""
    objective = model.objective.config
    return BatchStream(
        seed,
        len(data),
        config.batch_size,
        objective.num_timesteps if objective.kind == "ddpm" else None,
        config.cond_dropout,
        tuple(data.images.shape[1:]),
    )
