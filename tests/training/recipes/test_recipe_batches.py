"""Batches are decided by the seed, hold each row once, and are padded without effect."""

from hypothesis import given
from hypothesis import strategies as st

from training.recipes.batches import IGNORED, collate, epoch_batches, micro_batches
from training.recipes.chat import EncodedRow

lengths = st.lists(st.integers(2, 500), min_size=1, max_size=300)


def row(*token_ids: int, trained: int) -> EncodedRow:
    flags = tuple(index >= len(token_ids) - trained for index in range(len(token_ids)))
    return EncodedRow(1, token_ids, flags)


@given(lengths, st.integers(1, 40), st.integers(0, 99), st.integers(0, 5))
def test_an_epoch_holds_each_row_once(sizes: list[int], batch_size: int, seed: int, epoch: int) -> None:
    batches = epoch_batches(sizes, batch_size=batch_size, seed=seed, epoch=epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    assert len(batches) == -(-len(sizes) // batch_size)


def test_the_same_seed_gives_the_same_order_and_epochs_differ() -> None:
    sizes = [n % 7 for n in range(100)]
    first = epoch_batches(sizes, batch_size=8, seed=1, epoch=0)
    assert first == epoch_batches(sizes, batch_size=8, seed=1, epoch=0)
    assert first != epoch_batches(sizes, batch_size=8, seed=1, epoch=1)
    assert first != epoch_batches(sizes, batch_size=8, seed=2, epoch=0)


def test_rows_of_like_length_share_a_batch() -> None:
    sizes = [n * 37 % 200 for n in range(200)]
    padded = sum(
        max(sizes[i] for i in batch) * len(batch)
        for batch in epoch_batches(sizes, batch_size=8, seed=0, epoch=0)
    )
    assert padded < 1.1 * sum(sizes)


@given(lengths, st.integers(1, 2000))
def test_micro_batches_keep_every_row_and_the_bound(sizes: list[int], most: int) -> None:
    rows = [EncodedRow(n, (1,) * size, (True,) * size) for n, size in enumerate(sizes)]
    parts = list(micro_batches(rows, most_tokens=most))
    assert sorted(r.number for part in parts for r in part) == list(range(len(sizes)))
    for part in parts:
        assert len(part) == 1 or len(part) * max(len(r.token_ids) for r in part) <= most


def test_each_target_is_the_next_token_where_it_is_learned() -> None:
    tensors = collate([row(5, 6, 7, 8, trained=2), row(5, 6, trained=1)])
    assert tensors.token_ids.tolist() == [[5, 6, 7, 8], [5, 6, 0, 0]]
    assert tensors.attention.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    no = IGNORED
    assert tensors.targets.tolist() == [[no, 7, 8, no], [6, no, no, no]]
