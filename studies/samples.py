"""Generated images in files: one npz per plan, flat, with a label per image."""

import io
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from data_gen.endings import Mistake
from data_gen.files import whole_file
from data_gen.world import World

UNREADABLE = (  # what damage to an npz may raise, wherever in the file it lies
    *(OSError, EOFError, ValueError, KeyError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


def save_samples(path: Path, images: np.ndarray, world: World) -> None:
    """images: uint8 (combinations, n, h, w, 3); stored flat with a label per image."""
    count = images.shape[1]
    combination = [world.space.name(c) for c in world.space.combinations for _ in range(count)]
    prompt = [world.captioner.write(c) for c in world.space.combinations for _ in range(count)]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=images.reshape(-1, *images.shape[2:]),
        combination=np.array(combination),
        prompt=np.array(prompt),
        sample=np.tile(np.arange(count), len(images)),
    )
    with whole_file(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_samples(path: Path) -> np.ndarray:
    """uint8 (combinations, n, h, w, 3). Mistake names a file that cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            images, count = stored["images"], int(stored["sample"].max()) + 1
        return images.reshape(-1, count, *images.shape[1:])
    except UNREADABLE as error:
        raise Mistake(
            f"{path}: cannot read these samples ({str(error) or type(error).__name__}); "
            f"move the file and its scores away, scripts/evaluate.py makes both again"
        ) from None
