"""Batches: which rows are learned at which step, decided by the seed alone."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from training.recipes.chat import EncodedRow

IGNORED = -100
_BUCKET_BATCHES = 32


@dataclass(frozen=True)
class Tensors:
    """A micro-batch, right-padded: all three are int64 of shape (rows, longest row)."""

    token_ids: torch.Tensor
    attention: torch.Tensor
    targets: torch.Tensor  # the next token where it is learned, IGNORED elsewhere


def epoch_batches(lengths: Sequence[int], *, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of one epoch as indexes of rows; each row occurs exactly once.

    Rows of like length meet in a batch, to save padding, within buckets of shuffled rows; then the
    batches are shuffled. The order depends on `lengths`, `seed` and `epoch` (0-based) only, so that a
    step number is all that resuming needs to know about the position in the rows.
    """
    # Not for secrets: the same seed must give the same order on any machine.
    order = random.Random(f"{seed}:{epoch}")  # noqa: S311
    indexes = list(range(len(lengths)))
    order.shuffle(indexes)
    batches = []
    for start in range(0, len(indexes), batch_size * _BUCKET_BATCHES):
        bucket = indexes[start : start + batch_size * _BUCKET_BATCHES]
        bucket.sort(key=lengths.__getitem__)
        batches += [bucket[at : at + batch_size] for at in range(0, len(bucket), batch_size)]
    order.shuffle(batches)
    return batches


def micro_batches(rows: Sequence[EncodedRow], *, most_tokens: int) -> Iterator[list[EncodedRow]]:
    """Split a batch so that no part has more than `most_tokens` tokens with padding, one row at least."""
    part: list[EncodedRow] = []
    for row in sorted(rows, key=lambda row: len(row.token_ids)):
        if part and (len(part) + 1) * len(row.token_ids) > most_tokens:
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def collate(rows: Sequence[EncodedRow]) -> Tensors:
    """Return the padded tensors of `rows`; the target at a place is the token after it, if learned."""
    longest = max(len(row.token_ids) for row in rows)
    # The attention mask hides the padding and no target is there: any token id serves, so 0 does.
    token_ids = torch.zeros((len(rows), longest), dtype=torch.int64)
    attention = torch.zeros((len(rows), longest), dtype=torch.int64)
    targets = torch.full((len(rows), longest), IGNORED)
    for index, row in enumerate(rows):
        size = len(row.token_ids)
        ids = torch.tensor(row.token_ids)
        token_ids[index, :size] = ids
        attention[index, :size] = 1
        learned = torch.tensor(row.trained[1:], dtype=torch.bool)
        targets[index, : size - 1] = torch.where(learned, ids[1:], IGNORED)
    return Tensors(token_ids, attention, targets)
