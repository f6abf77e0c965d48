"""Batches of an epoch, cut for any number of ranks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tl_datasets.epoch_batches import EpochBatches


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5))
def test_ranks_share_the_batches_of_one(samples: int, batch_size: int, ranks: int):
    batch_size = max(batch_size, ranks)
    whole = list(EpochBatches(samples, batch_size))
    assert [position for batch in whole for position in batch] == list(range(samples))
    each = [EpochBatches(samples, batch_size, rank, ranks) for rank in range(ranks)]
    given_ = [list(batches) for batches in each]
    for number, batch in enumerate(whole):
        shares = each[0].shares(number)
        assert sum(shares) == len(batch) and max(shares) - min(shares) <= 1
        assert [at for rank in range(ranks) for at in given_[rank][number][: shares[rank]]] == batch
        # A rank without a frame of its own keeps step with one that is in the batch.
        assert all(len(given_[rank][number]) == max(1, shares[rank]) for rank in range(ranks))
        assert all(given_[rank][number] == [batch[0]] for rank in range(ranks) if not shares[rank])


def test_a_resumed_epoch_goes_on_where_it_was():
    batches = EpochBatches(10, 4, 1, 2)
    whole = list(batches)
    assert whole == [[2, 3], [6, 7], [9]]
    batches.start = 1
    assert list(batches) == whole[1:]
    assert len(batches) == 3 and [batches.size(number) for number in range(3)] == [4, 4, 2]


@pytest.mark.parametrize(("samples", "batch_size", "rank", "ranks"), [(0, 1, 0, 1), (5, 1, 0, 2), (5, 4, 2, 2)])
def test_what_cannot_be_cut(samples, batch_size, rank, ranks):
    with pytest.raises(ValueError, match="at least one sample for each rank"):
        EpochBatches(samples, batch_size, rank, ranks)
