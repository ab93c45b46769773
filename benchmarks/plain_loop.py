"""Training written plainly, after diffusers' examples for unconditional and text-to-image training.

A DataLoader over PIL images with workers, noise and timesteps from torch's global generator, stock
layers in float32, AdamW and gradient clipping at their defaults, diffusers' EMAModel, the loss read
at every step. Spared against the examples: tokenizing (captions are ids already), reading files
(images are in memory), the launcher's wrappers.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from diffusion.model import DiffusionModel
from diffusion.train_config import TrainConfig
from diffusion.training_data import TrainingData


class Captioned(Dataset):
    """PIL images and the token ids of their captions."""

    def __init__(self, data: TrainingData):
        pixels = data.images.permute(0, 2, 3, 1).numpy()
        self.images = [Image.fromarray(image) for image in pixels]
        self.input_ids = data.inputs[data.row]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        array = np.array(self.images[i].convert("RGB"), dtype=np.float32) / 255
        image = torch.from_numpy(array).permute(2, 0, 1)
        return {"pixel_values": (image - 0.5) / 0.5, "input_ids": self.input_ids[i]}


class PlainLoop:
    """Training, step by step, of the network of `model`, whose layers are those of diffusers."""

    def __init__(
        self, data: TrainingData, model: DiffusionModel, config: TrainConfig, workers: int
    ):
        self.model, self.config, self.null = model, config, data.inputs[-1]
        self.scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear")
        self.loader = DataLoader(
            Captioned(data), config.batch_size, shuffle=True, num_workers=workers, drop_last=True
        )
        self.batches = self._epochs()
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.learning_rate = get_scheduler(
            "constant_with_warmup", self.optimizer, num_warmup_steps=config.warmup_steps
        )
        self.ema = EMAModel(model.parameters(), decay=config.ema_decay)
        self.losses: list[float] = []

    def _epochs(self) -> Iterator[dict[str, Tensor]]:
        while True:
            yield from self.loader

    def step(self) -> None:
        batch = next(self.batches)
        clean, input_ids = batch["pixel_values"], batch["input_ids"]
        noise = torch.randn(clean.shape)
        timesteps = torch.randint(0, self.scheduler.config.num_train_timesteps, (len(clean),))
        noisy = self.scheduler.add_noise(clean, noise, timesteps)
        dropped = torch.rand(len(clean)) < self.config.cond_dropout
        input_ids = torch.where(dropped[:, None], self.null, input_ids)
        condition = self.model.encode(input_ids)
        predicted = self.model.predict(noisy, timesteps, condition)
        loss = F.mse_loss(predicted, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_grad_norm)
        self.optimizer.step()
        self.learning_rate.step()
        self.optimizer.zero_grad()
        self.ema.step(self.model.parameters())
        self.losses.append(loss.item())
