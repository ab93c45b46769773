"""Training: the same run on any number of processes, leaving snapshots and states behind."""

import copy
import math
import os
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from data_gen.dataset import Dataset
from data_gen.endings import Mistake, Preempted
from data_gen.files import append_rows, is_complete, truncate_rows
from diffusion.batches import BatchStream, Draw
from diffusion.conditioning import NULL_CAPTION, tokenize
from diffusion.model import build_denoiser
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_scheduler, diffuse, epsilon_loss
from diffusion.pipeline import ConceptPipeline
from diffusion.snapshots import (
    complete_steps,
    last_state,
    load_state,
    save_snapshot,
    save_state,
    step_directory,
)
from diffusion.train_config import TrainConfig, parse_schedule

FLUSH_EVERY = 20  # steps between looks at the losses: one synchronisation each


class Diverged(Mistake):
    """A loss or a weight is not finite any more."""


def pin_threads(threads: int | None) -> None:
    """Use this many CPU threads, or this process's share of the cores it may use."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(threads or max(1, len(os.sched_getaffinity(0)) // processes))


def build_accelerator(config: TrainConfig) -> Accelerator:
    """Accelerator on the GPUs there are, else on the CPU with pinned threads."""
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")
    pin_threads(config.threads)  # after Accelerate, which sets them too
    return accelerator


def check_world_size(config: TrainConfig, world_size: int) -> None:
    if config.batch_size % world_size:
        raise Mistake(
            f"train.batch_size: {config.batch_size} does not divide among "
            f"{world_size} processes; use a multiple"
        )


class Trainer:
    """One training run in one directory; continues from the last complete state found there.

    Args:
        data: the training set; its captions are all the text the model ever reads.
        tokenizer: of the world's words.
        directory: the run directory; metrics.jsonl, timings.jsonl, snapshots/ and state/ go there.
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
        accelerator: Accelerator,
        should_stop: Callable[[], bool] = lambda: False,
    ):
        self.config, self.directory, self.should_stop = config, directory, should_stop
        self.accelerator, device = accelerator, accelerator.device
        self.images, self.caption = data.images.to(device), data.caption.to(device)
        self.input_ids = tokenize(tokenizer, [*data.captions, NULL_CAPTION]).to(device)
        self.scheduler, self.tokenizer = build_scheduler(objective), tokenizer
        shape = tuple(data.images.shape[1:])
        self.batches = BatchStream(
            seed, len(data), config.batch_size, objective.num_timesteps, config.cond_dropout, shape
        )
        self.raw = build_denoiser(model, tokenizer, shape[-1], seed).to(device)
        self.ema = copy.deepcopy(self.raw).requires_grad_(False)
        optimizer = torch.optim.AdamW(
            self.raw.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.step, self.rows_written = 0, 0
        self._restore(optimizer)
        self.model, self.optimizer = accelerator.prepare(self.raw, optimizer)
        self.snapshots = parse_schedule(config.snapshots, config.max_steps, "train.snapshots")
        self.pending: list[tuple[int, float, Tensor, Tensor]] = []
        self.flushed_at = (self.step, time.perf_counter())

    def run(self) -> None:
        """Train to max_steps. Raises Preempted or Diverged, with everything before them saved."""
        self._keep_snapshot()
        with self._progress_bar() as bar:
            while self.step < self.config.max_steps:
                self._train_step()
                bar.update()
                stop = self._agreed_to_stop()
                if stop or self._saving_due() or len(self.pending) >= FLUSH_EVERY:
                    bar.set_postfix(self._flush(), refresh=False)
                self._keep_snapshot()
                if stop or self.step % self.config.state_every == 0 or self._finished():
                    self._keep_state()
                if stop:
                    raise Preempted(f"stopped after step {self.step}, state saved")

    def learning_rate(self) -> float:
        """Linear warm-up, already above 0 at the first step, then constant."""
        warmup = max(1, self.config.warmup_steps)
        return self.config.learning_rate * min(1.0, (self.step + 1) / warmup)

    def _train_step(self) -> None:
        rank, world_size = self.accelerator.process_index, self.accelerator.num_processes
        learning_rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss = self._loss(self.batches.draw(self.step, rank, world_size))
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._average()
        self.step += 1
        self.pending.append((self.step, learning_rate, loss.detach(), norm.detach()))

    def _loss(self, draw: Draw) -> Tensor:
        device = self.accelerator.device
        image, t, eps, dropped = (
            tensor.to(device) for tensor in (draw.image, draw.t, draw.eps, draw.dropped)
        )
        x_0 = self.images[image].float() / 127.5 - 1
        null = len(self.input_ids) - 1
        input_ids = self.input_ids[self.caption[image].masked_fill(dropped, null)]
        return epsilon_loss(self.model(diffuse(self.scheduler, x_0, eps, t), t, input_ids), eps)

    @torch.no_grad()
    def _average(self) -> None:
        """θ_ema ← d·θ_ema + (1 − d)·θ, d = min(ema_decay, (1 + t) / (10 + t))."""
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.raw.parameters()), 1 - decay)

    def _agreed_to_stop(self) -> bool:
        """True on every process as soon as one was asked to stop."""
        stop = self.should_stop()
        if self.accelerator.num_processes == 1:
            return stop
        flag = torch.tensor(float(stop), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum").item() > 0)

    def _finished(self) -> bool:
        return self.step == self.config.max_steps

    def _saving_due(self) -> bool:
        return self.step in self.snapshots or self.step % self.config.state_every == 0

    def _flush(self) -> dict[str, str]:
        """Write the pending losses, averaged over processes. Raises Diverged at a bad one."""
        losses = torch.stack([loss for _, _, loss, _ in self.pending]).float()
        losses = self.accelerator.reduce(losses, "mean").tolist()
        rows = [
            {
                "step": step,
                "images_seen": step * self.config.batch_size,
                "loss": loss,
                "learning_rate": learning_rate,
                "grad_norm": norm.item(),
            }
            for (step, learning_rate, _, norm), loss in zip(self.pending, losses, strict=True)
        ]
        self.pending = []
        for row in rows:
            self._check_finite(row)
        self._write_rows([row for row in rows if row["step"] % self.config.log_every == 0])
        return {"loss": f"{losses[-1]:.4f}", "images/s": f"{self._time():.0f}"}

    def _check_finite(self, row: Mapping[str, Any]) -> None:
        if not math.isfinite(row["loss"]):
            raise Diverged(
                f"train: loss is {row['loss']} at step {row['step']} (learning rate "
                f"{row['learning_rate']:g}); {self._last_good()}; lower train.learning_rate"
            )

    def _last_good(self) -> str:
        steps = complete_steps(self.directory / "snapshots")
        return f"the last good snapshot is step {steps[-1]}" if steps else "no snapshot was saved"

    def _write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows_written += len(rows)
        if self.accelerator.is_main_process:
            append_rows(self.directory / "metrics.jsonl", rows)

    def _time(self) -> float:
        """Append to timings.jsonl; returns images/s since the last flush."""
        step, start = self.flushed_at
        self.flushed_at = (self.step, time.perf_counter())
        seconds = self.flushed_at[1] - start
        speed = (self.step - step) * self.config.batch_size / seconds
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        row = {"step": self.step, "seconds": seconds, "images_per_second": speed}
        if self.accelerator.is_main_process:
            append_rows(self.directory / "timings.jsonl", [{**row, "peak_memory_mib": peak}])
        return speed

    def _keep_snapshot(self) -> None:
        """Save this step's snapshot if the schedule asks for it and it is not there yet."""
        parent = self.directory / "snapshots"
        if self.step not in self.snapshots:
            return
        self._check_weights()
        if self.accelerator.is_main_process and not is_complete(step_directory(parent, self.step)):
            encoder, ema_encoder = (m.conditioner.text_encoder for m in (self.raw, self.ema))
            pipeline = ConceptPipeline(self.raw.unet, encoder, self.tokenizer, self.scheduler)
            ema = {"unet": self.ema.unet, "text_encoder": ema_encoder}
            save_snapshot(parent, self.step, pipeline.save_pretrained, ema)
        self.accelerator.wait_for_everyone()

    def _keep_state(self) -> None:
        self._check_weights()  # on every process: all must stop together
        if self.accelerator.is_main_process:
            progress = {"rows_written": self.rows_written}
            save_state(
                self.directory / "state",
                self.step,
                self.raw,
                self.ema,
                self.optimizer.optimizer,
                progress,
            )
        self.accelerator.wait_for_everyone()

    def _check_weights(self) -> None:
        for name, parameter in self.raw.named_parameters():
            if not torch.isfinite(parameter).all():
                raise Diverged(
                    f"train: weight {name} is not finite after step {self.step} (learning rate "
                    f"{self.learning_rate():g}); {self._last_good()}; lower train.learning_rate"
                )

    def _restore(self, optimizer: torch.optim.Optimizer) -> None:
        """Go back to the last complete state, or to step 0."""
        directory = last_state(self.directory / "state")
        if directory is not None:
            progress = load_state(directory, self.raw, self.ema, optimizer)
            self.step, self.rows_written = progress["step"], progress["rows_written"]
        if self.accelerator.is_main_process:
            truncate_rows(self.directory / "metrics.jsonl", self.rows_written)
        self.accelerator.wait_for_everyone()

    def _progress_bar(self) -> tqdm:
        return tqdm(
            total=self.config.max_steps,
            initial=self.step,
            desc="train",
            unit="step",
            disable=None if self.accelerator.is_main_process else True,
        )
