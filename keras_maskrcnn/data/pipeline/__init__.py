"""From records to batches, with tf.data."""
