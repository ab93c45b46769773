"""Sizes of the model and how it is conditioned. Imports no torch."""

from dataclasses import dataclass, field
from typing import Literal

from ground.endings import Mistake

GROUPS = 8  # of every group norm: channels are multiples of it
TEXT_HEADS = 2  # of every attention layer of our own text encoders


@dataclass(frozen=True)
class Size:
    """Widths of one U-Net and its own text encoder.

    Attributes:
        channels: of each resolution, the finest first; each next one halves height and width.
        layers_per_block: residual blocks at each resolution on the way down (one more going up).
        attention_levels: which resolutions attend; the middle block always does.
        attention_heads: of models that read captions, of every attention layer. Of those that
            read numbers, at the coarsest resolution; finer ones that attend have fewer, of the
            same width.
        text_width, text_layers: of the text encoder trained from scratch.
    """

    channels: tuple[int, ...] = (32, 48, 48)
    layers_per_block: int = 1
    attention_levels: tuple[int, ...] = (2,)
    attention_heads: int = 2
    text_width: int = 64
    text_layers: int = 2


SIZES = {
    "tiny": Size((16, 32, 32), 1, (2,), 2, text_width=32, text_layers=1),
    "nano": Size(),
    "small": Size((48, 96, 96), 1, (2,), 4),
    "base": Size((64, 128, 128), 2, (2,), 4, text_width=128),
    "paper": Size((64, 128, 256), 2, (), 8, text_width=128),
}
SizeName = Literal["tiny", "nano", "small", "base", "paper", "custom"]
OWN_TEXT = ("captions", "captions_contextual")  # read by a text encoder trained from scratch
TEXT = (*OWN_TEXT, "pretrained")  # conditionings that read captions
Conditioning = Literal[
    "captions",
    "captions_contextual",
    "pretrained",
    "vector",
    "one_hot",
    "embeddings",
    "coordinates",
]


@dataclass(frozen=True)
class TextEncoderConfig:
    """A pretrained text encoder, CLIP's or T5's.

    Attributes:
        name: a directory, or a name on the hub.
        frozen: leave its weights as they are.
    """

    name: str | None = None
    frozen: bool = True


@dataclass(frozen=True)
class ModelConfig:
    """A conditional U-Net.

    Attributes:
        size: of the network; `custom` takes the widths below.
        custom: the widths of size `custom`; what is not given is as in `nano`.
        dropout: rate inside residual blocks, in training.
        conditioning: what the model is told, as one embedding h beside that of the time.
            captions: contextual tokens by cross-attention; h adds the embeddings of the words,
                blind to their order and context;
            captions_contextual: the same tokens; h is taken at the end token, where the text
                encoder may have bound the words to each other;
            pretrained: tokens and h of `text_encoder`;
            vector: shape one-hot, x, y, rgb, size, background (arXiv:2406.19370), by an MLP;
            one_hot: an entry per value of every concept, by an MLP;
            embeddings: a learned vector and an MLP per concept, summed (arXiv:2310.09336);
            coordinates: sinusoidal encodings of the concepts' numbers (arXiv:2408.13256).
        text_encoder: of conditioning `pretrained`.
        numbers: of conditioning `vector`, as the network sees them. raw: as they are, so that class
            means lie as far apart as in the pixels (arXiv:2406.19370); standardized: every entry
            less its mean over the combinations' class means, divided by its standard deviation
            over them, so that two values lie 2 apart whatever their signal (ours).
        numbers_scale: what standardized numbers are multiplied by: at 0.1 two values lie 0.2 apart.
        rendering: of worlds of bumps. Above 0, each coordinate alone becomes an image that the
            network sees beside the noisy one, and a loss of this weight keeps its rank low
            (arXiv:2501.18797; `diffusion/rendering.py`); the losses that are logged hold it. 0:
            none.
    """

    size: SizeName = "nano"
    custom: Size = SIZES["nano"]
    dropout: float = 0.0
    conditioning: Conditioning = "captions"
    text_encoder: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    numbers: Literal["raw", "standardized"] = "raw"
    numbers_scale: float = 1.0
    rendering: float = 0.0

    @property
    def widths(self) -> Size:
        return self.custom if self.size == "custom" else SIZES[self.size]


def check_model(config: ModelConfig, image_size_px: int) -> None:
    """Raises Mistake, naming the key, for what no U-Net can be built of."""
    if config.size != "custom" and config.custom != ModelConfig.custom:
        raise Mistake("model.custom: is read with model.size: custom alone; leave it out")
    if not 0 <= config.dropout < 1:
        raise Mistake(f"model.dropout: got {config.dropout}, allowed 0 up to below 1")
    if (config.conditioning == "pretrained") != (config.text_encoder.name is not None):
        raise Mistake(
            "model.text_encoder.name: must be given with model.conditioning: pretrained, and only "
            "then; a directory or a name on the hub"
        )
    _check_numbers(config)
    if config.rendering < 0:
        raise Mistake(f"model.rendering: got {config.rendering}, allowed 0 or more")
    if config.size == "custom":
        _check_size(config.custom)
        _check_heads(config.custom, config.conditioning)
    halvings = len(config.widths.channels) - 1
    if image_size_px % (1 << halvings):
        raise Mistake(
            f"model.size: {config.size} halves images {halvings} times; world.image_size_px = "
            f"{image_size_px} is no multiple of {1 << halvings}"
        )


def _check_numbers(config: ModelConfig) -> None:
    if config.numbers == "standardized" and config.conditioning != "vector":
        raise Mistake(
            f"model.numbers: standardized is for model.conditioning: vector, got "
            f"{config.conditioning}; allowed raw"
        )
    if config.numbers == "raw" and config.numbers_scale != 1:
        raise Mistake("model.numbers_scale: is read with model.numbers: standardized alone")
    if not config.numbers_scale > 0:
        raise Mistake(f"model.numbers_scale: got {config.numbers_scale}, allowed more than 0")


def _check_size(size: Size) -> None:
    key, levels = "model.custom", range(len(size.channels))
    if not size.channels or any(c < GROUPS or c % GROUPS for c in size.channels):
        raise Mistake(f"{key}.channels: got {list(size.channels)}, allowed multiples of {GROUPS}")
    if not set(size.attention_levels) <= set(levels):
        got = list(size.attention_levels)
        raise Mistake(f"{key}.attention_levels: got {got}, allowed some of {list(levels)}")
    for name in ("layers_per_block", "attention_heads", "text_width", "text_layers"):
        if getattr(size, name) < 1:
            raise Mistake(f"{key}.{name}: got {getattr(size, name)}, allowed 1 or more")


def _check_heads(size: Size, conditioning: str) -> None:
    """diffusers' U-Nets with cross-attention have a number of heads, those without a width."""
    key, heads = "model.custom", size.attention_heads
    attending = sorted({size.channels[i] for i in (*size.attention_levels, -1)})
    coarsest, reads_text = size.channels[-1], conditioning in TEXT
    for width in attending if reads_text else [coarsest]:
        if width % heads:
            raise Mistake(f"{key}.attention_heads: {heads} heads do not divide {width} channels")
    for width in [] if reads_text else attending:
        if width % (coarsest // heads):
            raise Mistake(
                f"{key}.attention_heads: {heads} heads at {coarsest} channels are "
                f"{coarsest // heads} wide, which for {conditioning} must divide all channels that "
                f"attend, also {width}"
            )
    if conditioning in OWN_TEXT and size.text_width % TEXT_HEADS:
        raise Mistake(
            f"{key}.text_width: got {size.text_width}, allowed multiples of {TEXT_HEADS}, the "
            f"heads of the text encoder"
        )
