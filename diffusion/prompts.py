"""Prompts → the raw rows that a conditioner reads: token ids, or numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from data_gen.typed import told
from ground.endings import Mistake, nearest

BOS, EOS, PAD, UNKNOWN = "<bos>", "<eos>", "<pad>", "<unk>"
SPECIAL = (PAD, BOS, UNKNOWN, EOS)  # an end token of id 2 would make CLIP pool at the largest id
NULL_PROMPT = ""
NULL_COORDINATE = "-"

Words = Mapping[str, Mapping[str, float]]


@runtime_checkable  # so that tests can check it
class Prompts(Protocol):
    """What turns words into the inputs of a conditioner."""

    def inputs(self, prompts: Sequence[str]) -> Tensor:
        """One row per prompt; "" gives the null row. Raises Mistake for a word it cannot read."""
        ...


def build_tokenizer(vocabulary: Sequence[str], max_words: int) -> PreTrainedTokenizerFast:
    """One id per word; captions become <bos> words <eos>, padded to max_words + 2."""
    ids = {word: i for i, word in enumerate((*SPECIAL, *vocabulary))}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}", special_tokens=[(BOS, ids[BOS]), (EOS, ids[EOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNKNOWN,
        model_max_length=max_words + 2,
    )


def tokenize(tokenizer: Any, captions: Sequence[str]) -> Int[Tensor, "n l"]:
    """Tokenize captions: int64 ids, all rows of the tokenizer's full length."""
    return tokenizer(list(captions), padding="max_length", return_tensors="pt").input_ids


@dataclass(frozen=True)
class TextPrompts:
    """Token ids, int64 (n, l), by a tokenizer of transformers; l is its model_max_length.

    Refuses what its text encoder never reads: words unknown to it, its special tokens, and more
    tokens than l. A closed list of words knows no others, and is told prompts in its own ones (see
    `told`); subword tokenizers know nearly all, and are told them as they are.
    """

    tokenizer: Any

    def inputs(self, prompts: Sequence[str]) -> Int[Tensor, "n l"]:
        if isinstance(self.tokenizer.backend_tokenizer.model, models.WordLevel):
            known = self._words()
            prompts = [told(prompt, known) for prompt in prompts]
        self._check(list(dict.fromkeys(prompts)))
        return tokenize(self.tokenizer, prompts)

    def _words(self) -> set[str]:
        return self.tokenizer.get_vocab().keys() - {*self.tokenizer.all_special_tokens}

    def _check(self, prompts: list[str]) -> None:
        words = dict.fromkeys(word for prompt in prompts for word in prompt.split())
        for word in words:
            if not self._knows(word):
                prompt = next(prompt for prompt in prompts if word in prompt.split())
                hint = nearest(word, tuple(sorted(self._words())))
                raise Mistake(f"prompt {prompt!r}: unknown word {word!r}{hint}")
        for prompt, ids in zip(prompts, self.tokenizer(prompts).input_ids, strict=True):
            if len(ids) > self.tokenizer.model_max_length:
                limit = self.tokenizer.model_max_length
                raise Mistake(
                    f"prompt {prompt!r}: has {len(ids)} tokens, those at its ends counted, "
                    f"allowed {limit}"
                )

    def _knows(self, word: str) -> bool:
        ids = self.tokenizer(word, add_special_tokens=False).input_ids
        return bool(ids) and not {*ids} & {*self.tokenizer.all_special_ids}


@dataclass(frozen=True)
class NumberPrompts:
    """Rows of numbers, float32 (n, k): the default, with the entries of every named word set.

    Attributes:
        default: k numbers, what stands where no word says anything.
        words: word → {entry: number}, entries as strings (as JSON has them); {} for words that
            say nothing, such as articles. All other words are refused; prompts may be written as
            people type (see `told`).

    The null row, all NaN, is that of the empty prompt.
    """

    default: Sequence[float]
    words: Words

    def inputs(self, prompts: Sequence[str]) -> Float[Tensor, "n k"]:
        rows = {prompt: self._row(prompt) for prompt in dict.fromkeys(prompts)}
        return torch.tensor([rows[prompt] for prompt in prompts], dtype=torch.float32)

    def _row(self, prompt: str) -> list[float]:
        if not prompt.split():
            return [math.nan] * len(self.default)
        said: dict[int, tuple[str, float]] = {}
        for word in told(prompt, self.words.keys()).split():
            for entry, number in self._entries(word, prompt).items():
                before, old = said.setdefault(int(entry), (word, number))
                if old != number:
                    raise Mistake(
                        f"prompt {prompt!r}: {before!r} and {word!r} contradict each other"
                    )
        return [said[i][1] if i in said else number for i, number in enumerate(self.default)]

    def _entries(self, word: str, prompt: str) -> Mapping[str, float]:
        if word not in self.words:
            hint = nearest(word, tuple(self.words))
            raise Mistake(f"prompt {prompt!r}: unknown word {word!r}{hint}")
        return self.words[word]


@dataclass(frozen=True)
class CoordinatePrompts:
    """Rows of coordinates, float32 (n, k), from prompts of k numbers such as "12.5 3".

    Attributes:
        spans: lowest and highest number of each coordinate.
        periodic: of each, whether both ends of its span are the same place.

    "-" is the null value of a coordinate that is not periodic; its number lies outside the span.
    The null row, all NaN, is that of the empty prompt.
    """

    spans: Sequence[Sequence[float]]
    periodic: Sequence[bool]

    @property
    def nulls(self) -> list[float]:
        """Number below each span, which stands for the null."""
        return [2 * low - high for low, high in self.spans]

    def inputs(self, prompts: Sequence[str]) -> Float[Tensor, "n k"]:
        rows = {prompt: self._row(prompt) for prompt in dict.fromkeys(prompts)}
        return torch.tensor([rows[prompt] for prompt in prompts], dtype=torch.float32)

    def _row(self, prompt: str) -> list[float]:
        words, count = prompt.split(), len(self.spans)
        if not words:
            return [math.nan] * count
        if len(words) != count:
            raise Mistake(f"prompt {prompt!r}: has {len(words)} coordinates, allowed {count}")
        return [self._number(prompt, word, i) for i, word in enumerate(words)]

    def _number(self, prompt: str, word: str, i: int) -> float:
        """Coordinate i as a word of a prompt says it."""
        low, high = self.spans[i]
        if word == NULL_COORDINATE and not self.periodic[i]:
            return self.nulls[i]
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not low <= number <= high:  # nan too
            null = "" if self.periodic[i] else f", or {NULL_COORDINATE} for none"
            raise Mistake(f"prompt {prompt!r}: got {word!r}, allowed {low:g} to {high:g}{null}")
        return number
