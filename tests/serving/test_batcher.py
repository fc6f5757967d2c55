import asyncio
import threading

import pytest

from keras_maskrcnn.serving.batcher import Batcher, BusyError


def doubled(items, run=None, **options):
    """What a batcher that doubles numbers makes of items submitted at once, errors included; and the batches."""
    batches = []

    def double(batch):
        batches.append(list(batch))
        if run is not None:
            run(batch)
        return [2 * item for item in batch]

    async def submit_all():
        batcher = Batcher(double, **{"size": 4, "wait": 0.02, "most_waiting": 100, **options})
        worker = asyncio.create_task(batcher.work())
        results = await asyncio.gather(*map(batcher.submit, items), return_exceptions=True)
        worker.cancel()
        return results

    return asyncio.run(submit_all()), batches


def test_each_item_has_its_own_result_and_batches_are_as_large_as_may_be():
    results, batches = doubled(range(10))
    assert results == [2 * item for item in range(10)]
    assert [len(batch) for batch in batches] == [4, 4, 2]


def test_an_item_alone_is_not_kept_waiting_for_long():
    results, batches = doubled([7], wait=0.0)
    assert results == [14] and batches == [[7]]


def test_an_item_that_cannot_be_run_does_no_harm_to_those_of_its_batch():
    def refuse_three(batch):
        if 3 in batch:
            raise ValueError("three")

    results, _ = doubled([1, 2, 3, 4], refuse_three)
    assert results[:2] == [2, 4] and results[3] == 8
    assert isinstance(results[2], ValueError) and str(results[2]) == "three"


def test_more_than_may_wait_are_refused_at_once():
    results, _ = doubled(range(6), most_waiting=4, size=2)
    assert results[:4] == [0, 2, 4, 6]
    assert all(
        isinstance(result, BusyError) and "4 requests are waiting" in str(result) for result in results[4:]
    )


def test_an_item_that_nobody_waits_for_any_more_is_not_run():
    started, go_on, seen = threading.Event(), threading.Event(), []

    def run(batch):
        seen.extend(batch)
        started.set()
        go_on.wait(5)
        return batch

    async def leave():
        batcher = Batcher(run, size=1, wait=0.0, most_waiting=10)
        worker = asyncio.create_task(batcher.work())
        first, second = asyncio.create_task(batcher.submit(1)), asyncio.create_task(batcher.submit(2))
        await asyncio.to_thread(started.wait, 5)
        assert batcher.waiting == 1
        second.cancel()
        go_on.set()
        assert await first == 1
        with pytest.raises(asyncio.CancelledError):
            await second
        assert await batcher.submit(3) == 3
        worker.cancel()

    asyncio.run(leave())
    assert seen == [1, 3]
