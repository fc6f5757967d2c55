"""The count of dropped objects: once per image and epoch, whatever the threads do."""

import logging
import threading
import time

from keras_maskrcnn.data.pipeline.dropped import DroppedObjects

LOGGER = "keras_maskrcnn.data.pipeline.dropped"


def read(counter, epoch, first=0, images=5):
    """Image i of an epoch has i objects, of which one is dropped where there are more than two."""
    for position in range(first, images):
        counter.add(epoch, position, first, position, int(position > 2))


def test_objects_are_counted_by_epoch():
    counter = DroppedObjects(5)
    assert (counter.objects, counter.dropped, counter.fraction) == (0, 0, 0.0)
    read(counter, 0)
    counter.add(1, 4, 0, 4, 1)
    assert counter.by_epoch() == {0: (10, 2), 1: (4, 1)}
    assert (counter.objects, counter.dropped, counter.fraction) == (14, 3, 3 / 14)


def test_an_epoch_that_is_read_again_counts_once():
    counter = DroppedObjects(5)
    counter.add(0, 4, 0, 4, 1)  # an iteration that was given up
    read(counter, 0)
    counter.add(0, 1, 0, 1, 0)
    read(counter, 0)
    assert counter.by_epoch() == {0: (10, 2)}


def test_a_line_is_logged_at_the_end_of_each_epoch(caplog):
    counter = DroppedObjects(5)
    with caplog.at_level(logging.INFO, logger=LOGGER):
        read(counter, 0, images=4)
        assert not caplog.messages
        counter.add(0, 4, 0, 4, 1)
        read(counter, 3, first=2)  # resumed in its middle
    assert [message.split(" (")[0] for message in caplog.messages] == [
        "epoch 1: augmentation dropped 2 of 10 objects",
        "epoch 4: augmentation dropped 2 of 9 objects",
    ]
    assert "(20.0%)" in caplog.messages[0]


def test_nothing_is_logged_where_nothing_can_be_dropped(caplog):
    with caplog.at_level(logging.INFO, logger=LOGGER):
        read(DroppedObjects(5, logged=False), 0)
    assert not caplog.messages


def test_threads_lose_no_count(caplog):
    counter = DroppedObjects(4000)

    def count(start):
        for position in range(start, 4000, 8):
            counter.add(0, position, 0, 3, 1)

    threads = [threading.Thread(target=count, args=(start,)) for start in range(8)]
    with caplog.at_level(logging.INFO, logger=LOGGER):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counter.by_epoch() == {0: (12000, 4000)}
    assert len(caplog.messages) == 1


def test_an_epoch_read_again_from_its_middle_is_counted_in_linear_time():
    count = 100_000
    counter = DroppedObjects(count, logged=False)
    for position in range(count - 1):  # given up before its last image
        counter.add(0, position, 0, 1, 0)
    began = time.perf_counter()
    for position in range(count // 2, count - 1):
        counter.add(0, position, count // 2, 1, 0)
    assert time.perf_counter() - began < 5  # to look at all images at each would take minutes
    counter.add(0, count - 1, count // 2, 1, 0)
    assert counter.by_epoch() == {0: (count, 0)} and not counter._begun and not counter._missing
