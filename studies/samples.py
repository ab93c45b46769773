"""Generated images in files: one npz per plan, flat, with a label per image; tiles until then."""

import io
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from data_gen.endings import Mistake
from data_gen.files import whole_file
from studies.prompt_sets import Question

UNREADABLE = (  # what damage to an npz may raise, wherever in the file it lies
    *(OSError, EOFError, ValueError, KeyError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


def save_samples(path: Path, images: np.ndarray, asked: Sequence[Question]) -> None:
    """images: uint8 (prompts, n, h, w, 3); stored flat with a label per image."""
    count = images.shape[1]
    combination = [question.combination for question in asked for _ in range(count)]
    prompt = [question.prompt for question in asked for _ in range(count)]
    _save(
        path,
        images=images.reshape(-1, *images.shape[2:]),
        combination=np.array(combination),
        prompt=np.array(prompt),
        sample=np.tile(np.arange(count), len(images)),
    )


def save_tile(path: Path, images: np.ndarray) -> None:
    """images: uint8 (n, h, w, 3), some of those of a plan."""
    _save(path, images=images)


def _save(path: Path, **arrays: np.ndarray) -> None:
    """The same arrays make the same bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    with whole_file(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_samples(path: Path) -> np.ndarray:
    """uint8 (prompts, n, h, w, 3). Mistake names a file that cannot be read."""
    with _readable(path, "move the file and its scores away, scripts/evaluate.py makes both again"):
        with np.load(path, allow_pickle=False) as stored:
            images, count = stored["images"], int(stored["sample"].max()) + 1
        return images.reshape(-1, count, *images.shape[1:])


def load_tile(path: Path) -> np.ndarray:
    """uint8 (n, h, w, 3). Mistake names a file that cannot be read."""
    with _readable(path, "move the file away, scripts/evaluate.py makes it again"):
        with np.load(path, allow_pickle=False) as stored:
            return stored["images"]


@contextmanager
def _readable(path: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise Mistake(f"{path}: cannot read these samples ({reason}); {advice}") from None
