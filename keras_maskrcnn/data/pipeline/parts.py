"""Which images of each batch a process loads, where several replicas of a model share its batches."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Part:
    """The replicas of one process among all of them.

    Of a batch every replica has neighbouring images, as many as the others or one less; of the last batch of an epoch,
    which may be smaller, the last replicas have none.

    Args:
        first: number of the process' first replica.
        replicas: of the process.
        of: all replicas.
    """

    first: int = 0
    replicas: int = 1
    of: int = 1

    def slots(self, batch_size: int) -> int:
        """The most images of a batch that one replica has."""
        return -(-batch_size // self.of)

    def positions(self, count: int, batch_size: int) -> tf.Tensor:
        """Return the positions in an epoch of `count` images, in the order in which the process loads them.

        Returns:
            [steps, replicas, slots] int64, -1 in slots that are empty.
        """
        steps, slots = -(-count // batch_size), self.slots(batch_size)
        numbers = self.first + tf.range(self.replicas, dtype=tf.int64)  # [replicas]
        quotient, rest = divmod(batch_size, self.of)
        begins = numbers * quotient + tf.minimum(numbers, rest)
        sizes = quotient + tf.cast(numbers < rest, tf.int64)
        slot = tf.range(slots, dtype=tf.int64)  # [slots]
        within = begins[:, None] + slot  # [replicas, slots], in the batch
        positions = tf.range(steps, dtype=tf.int64)[:, None, None] * batch_size + within
        filled = (slot < sizes[:, None]) & (positions < count)
        return tf.where(filled, positions, -1)

    def has(self, position: int, batch_size: int) -> bool:
        """Whether the process loads the image at this position of an epoch."""
        place, (quotient, rest) = position % batch_size, divmod(batch_size, self.of)
        begin, end = (
            number * quotient + min(number, rest) for number in (self.first, self.first + self.replicas)
        )
        return begin <= place < end
