"""Which positions of an epoch's order make up each batch, and which of them are one rank's.

A batch is the same frames however many ranks share it; a rank takes a run of neighbours. The last batch of an epoch
may be smaller. Where it has fewer frames than there are ranks, a rank without one takes the batch's first frame to keep
step; such a share does not count.
"""

from __future__ import annotations

from collections.abc import Iterator


class EpochBatches:
    """The batches of one rank, as a sampler for a loader.

    Attributes:
        start: First batch that is given; a resumed run goes on in the middle of an epoch.
    """

    def __init__(self, samples: int, batch_size: int, rank: int = 0, ranks: int = 1):
        """Cut an epoch.

        Args:
            samples: Of an epoch.
            batch_size: Samples per batch, on all ranks together; at least one for each.
            rank: Whose share is given, 0-based.
            ranks: Number of ranks.

        Raises:
            ValueError: A number is too small.
        """
        if samples < 1 or batch_size < ranks or not 0 <= rank < ranks:
            raise ValueError(
                f"{samples} samples in batches of {batch_size}, rank {rank} of {ranks}; "
                "expected a sample, and batches with at least one sample for each rank"
            )
        self.samples, self.batch_size, self.rank, self.ranks = samples, batch_size, rank, ranks
        self.start = 0

    def __len__(self) -> int:
        """Batches of a whole epoch, `start` left aside."""
        return -(-self.samples // self.batch_size)

    def size(self, number: int) -> int:
        """Samples of a batch, on all ranks together."""
        return min(self.batch_size, self.samples - number * self.batch_size)

    def shares(self, number: int) -> list[int]:
        """Samples of a batch that each rank counts; the first ranks may have one more."""
        size = self.size(number)
        return [size // self.ranks + (rank < size % self.ranks) for rank in range(self.ranks)]

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(self.start, len(self)):
            shares = self.shares(number)
            first = number * self.batch_size
            begin = first + sum(shares[: self.rank])
            yield list(range(begin, begin + shares[self.rank])) or [first]
