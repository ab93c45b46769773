"""Training: the same run on any number of processes, leaving snapshots and states behind."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from data_gen.dataset import Dataset
from data_gen.endings import Mistake, Preempted
from data_gen.files import hash_file, hash_rows, read_json, remove_unfinished
from diffusion.batches import BatchStream, Draw
from diffusion.compiled import compile_checked
from diffusion.conditioning import NULL_CAPTION, tokenize
from diffusion.fine_tuning import Source, copy_weights
from diffusion.gradients import GradientBuffer
from diffusion.model import build_denoiser
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_scheduler, diffuse, epsilon_loss
from diffusion.pipeline import ConceptPipeline
from diffusion.processes import Processes
from diffusion.records import Records, Row, Step
from diffusion.snapshots import (
    complete_steps,
    last_state,
    load_state,
    save_snapshot,
    save_state,
    steps_in,
)
from diffusion.train_config import TrainConfig, count_parts, parse_schedule

FLUSH_EVERY = 20  # steps between looks at the losses: one synchronisation each


class Diverged(Mistake):
    """A loss or a weight is not finite any more."""


class Trainer:
    """One training run in one directory; continues from the last complete state found there.

    Args:
        data: the training set; its captions are all the text the model ever reads.
        tokenizer: of the world's words.
        directory: the run directory; metrics, snapshots/ and state/ go there.
        find_source: gives another run's snapshot to start from, if this run has no state yet.
        should_stop: asked after every step; if any process says yes, the state is saved and
            `Preempted` raised.
    """

    def __init__(
        self,
        data: Dataset,
        tokenizer: PreTrainedTokenizerFast,
        model: ModelConfig,
        objective: ObjectiveConfig,
        config: TrainConfig,
        *,
        seed: int,
        directory: Path,
        processes: Processes,
        find_source: Callable[[], Source | None] = lambda: None,
        should_stop: Callable[[], bool] = lambda: False,
    ):
        self.config, self.directory, self.should_stop = config, directory, should_stop
        self.processes, device = processes, processes.device
        self.parts = count_parts(config, processes.world_size)
        self.images, self.caption = data.images.to(device), data.caption.to(device)
        self.input_ids = tokenize(tokenizer, [*data.captions, NULL_CAPTION]).to(device)
        self.scheduler, self.tokenizer = build_scheduler(objective), tokenizer
        shape = tuple(data.images.shape[1:])
        self.batches = BatchStream(
            seed, len(data), config.batch_size, objective.num_timesteps, config.cond_dropout, shape
        )
        self.raw = build_denoiser(model, tokenizer, shape[-1], seed).to(device)
        self.ema = copy.deepcopy(self.raw).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.raw.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.records = Records(directory, config, processes)
        self.step = self._restore(find_source)
        self.gradients = GradientBuffer(
            self.raw.parameters(), processes, config.reduction == "in_order"
        )
        self.snapshots = parse_schedule(config.snapshots, config.max_steps, "train.snapshots")
        processes.check_different("part of the batch", self._own_draws()[0].checksum())
        self.model = self._compile() if config.compile else self.raw

    def run(self) -> None:
        """Train to max_steps. Raises Preempted or Diverged, with everything before them saved."""
        self._keep_snapshot()
        with self._progress_bar() as bar:
            while self.step < self.config.max_steps:
                self._train_step()
                bar.update()
                stop = self.processes.any(self.should_stop())
                if stop or self._saving_due() or len(self.records.pending) >= FLUSH_EVERY:
                    self.records.flush(self._check_finite)
                    self._keep_snapshot()
                    if stop or self._state_due():
                        self._keep_state()
                    bar.set_postfix(self._speed(), refresh=False)
                if stop:
                    raise Preempted(f"stopped after step {self.step}, state saved")

    def learning_rate(self) -> float:
        """Linear warm-up, already above 0 at the first step, then constant."""
        warmup = max(1, self.config.warmup_steps)
        return self.config.learning_rate * min(1.0, (self.step + 1) / warmup)

    def _train_step(self) -> None:
        learning_rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        draws = self._own_draws()
        self.gradients.zero()
        losses = [self._add_gradient(draw) for draw in draws]
        loss = self.gradients.reduce()
        norm = nn.utils.clip_grad_norm_(self.raw.parameters(), self.config.clip_grad_norm)
        self.optimizer.step()
        self._average()
        self.step += 1
        checksum = 0
        for draw in draws:
            checksum = draw.checksum(checksum)
        own_loss = torch.stack(losses).sum() * self.parts / len(losses)
        self.records.pending.append(
            Step(self.step, learning_rate, loss, norm.detach(), own_loss, checksum)
        )

    def _own_draws(self) -> list[Draw]:
        """The micro-batches of this process: every world_size-th."""
        mine = range(self.processes.rank, self.parts, self.processes.world_size)
        return [self.batches.draw(self.step, part, self.parts) for part in mine]

    def _add_gradient(self, draw: Draw) -> Tensor:
        """Of this micro-batch's share of the mean loss, which is returned."""
        loss = self._loss(self.model, draw) / self.parts
        self.gradients.add(loss)
        return loss.detach()

    def _loss(self, model: nn.Module, draw: Draw) -> Tensor:
        device = self.processes.device
        image, t, eps, dropped = (
            tensor.to(device) for tensor in (draw.image, draw.t, draw.eps, draw.dropped)
        )
        x_0 = self.images[image].float() / 127.5 - 1
        null = len(self.input_ids) - 1
        input_ids = self.input_ids[self.caption[image].masked_fill(dropped, null)]
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            predicted = model(diffuse(self.scheduler, x_0, eps, t), t, input_ids)
        return epsilon_loss(predicted.float(), eps)

    def _compile(self) -> nn.Module:
        draw = self._own_draws()[0]
        return compile_checked(
            self.raw, lambda model: self._loss(model, draw), self.config.precision
        )

    @torch.no_grad()
    def _average(self) -> None:
        """θ_ema ← d·θ_ema + (1 − d)·θ, d = min(ema_decay, (1 + t) / (10 + t))."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.raw.parameters()), 1 - decay)

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
        encoder, ema_encoder = (m.conditioner.text_encoder for m in (self.raw, self.ema))
        pipeline = ConceptPipeline(self.raw.unet, encoder, self.tokenizer, self.scheduler)
        ema = {"unet": self.ema.unet, "text_encoder": ema_encoder}
        save_snapshot(self.directory / "snapshots", self.step, pipeline.save_pretrained, ema)

    def _keep_state(self) -> None:
        self._check_weights()
        with self.records.saving():
            self.processes.once(self._save_state)

    def _save_state(self) -> None:
        progress = {
            "rows_written": self.records.rows_written,
            "metrics_sha256": hash_file(self.records.metrics),
        }
        parent = self.directory / "state"
        save_state(parent, self.step, self.raw, self.ema, self.optimizer, progress)

    def _check_weights(self) -> None:
        """On every process: all must stop together."""
        for name, parameter in self.raw.named_parameters():
            if not torch.isfinite(parameter).all():
                raise Diverged(
                    f"train: weight {name} is not finite after step {self.step} (learning rate "
                    f"{self.learning_rate():g}); {self._last_good()}; lower train.learning_rate"
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
        else:
            self._begin(find_source())
        self.processes.share([*self.raw.state_dict().values(), *self.ema.state_dict().values()])
        self.records.start(progress["step"], progress["rows_written"])
        return progress["step"]

    def _begin(self, source: Source | None) -> None:
        if self.processes.once(lambda: steps_in(self.directory / "state")):
            raise Mistake(
                f"{self.directory / 'state'}: holds no state that can be used; restore one, or "
                f"move it away to start over"
            )
        if source is not None:
            copy_weights(self.raw, self.tokenizer, source)
            self.ema.load_state_dict(self.raw.state_dict())

    def _remove_unfinished(self) -> None:
        for name in ("snapshots", "state"):
            remove_unfinished(self.directory / name)

    def _unlike_metrics(self, state: Path) -> str | None:
        """What makes a state unusable: rows it counts on are not there."""
        progress = read_json(state / "progress.json")
        expected = progress.get("metrics_sha256")  # states of older versions know none
        if expected in (None, hash_rows(self.records.metrics, progress["rows_written"])):
            return None
        return f"{self.records.metrics} lost or changed rows since it was saved"

    def _speed(self) -> dict[str, str]:
        return {"images/s": f"{self.records.time(self.step)['images_per_second']:.0f}"}

    def _progress_bar(self) -> tqdm:
        return tqdm(
            total=self.config.max_steps,
            initial=self.step,
            desc="train",
            unit="step",
            disable=None if self.processes.is_main else True,
        )
