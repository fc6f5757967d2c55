"""Requests that arrive at about the same time, run together."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class BusyError(Exception):
    """As many items wait as may."""


class Batcher(Generic[Item, Result]):
    """Runs items in batches, one batch at a time in a thread of its own; the first waits for others a little.

    Where a batch fails, its items are run again one by one, so that one that cannot be run does no harm to others.

    Args:
        run: takes a list of items and returns a result for each.
        size: most items of a batch.
        wait: seconds that the first item of a batch waits for others.
        most_waiting: items that may wait; more are refused.
    """

    def __init__(
        self, run: Callable[[list[Item]], Sequence[Result]], size: int, wait: float, most_waiting: int
    ):
        self._run, self._size, self._wait = run, size, wait
        self._queue: asyncio.Queue[tuple[Item, asyncio.Future[Result]]] = asyncio.Queue(most_waiting)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")

    @property
    def waiting(self) -> int:
        """Items that wait for a batch."""
        return self._queue.qsize()

    async def submit(self, item: Item) -> Result:
        """Return the result of an item, once its batch has been run.

        Raises:
            BusyError: too many wait already.
            Exception: what `run` has raised for this item alone.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((item, future))
        except asyncio.QueueFull:
            raise BusyError(f"{self._queue.maxsize} requests are waiting") from None
        return await future

    async def work(self) -> None:
        """Run batches until cancelled."""
        while True:
            batch = [await self._queue.get()]
            deadline = asyncio.get_running_loop().time() + self._wait
            while len(batch) < self._size:
                left = deadline - asyncio.get_running_loop().time()
                with contextlib.suppress(TimeoutError):
                    batch.append(await asyncio.wait_for(self._queue.get(), max(left, 0)))
                    continue
                break
            batch = [
                (item, future) for item, future in batch if not future.cancelled()
            ]  # whoever asked has gone
            if batch:
                await self._run_batch(batch)

    async def _run_batch(self, batch: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        items = [item for item, _ in batch]
        loop = asyncio.get_running_loop()
        results: list[Any]
        try:
            results = list(await loop.run_in_executor(self._thread, self._run, items))
        except Exception as error:
            results = [error] if len(items) == 1 else await self._one_by_one(items)
        for (_, future), result in zip(batch, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    async def _one_by_one(self, items: list[Item]) -> list[Any]:
        results: list[Any] = []
        for item in items:
            try:
                (result,) = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, [item])
                results.append(result)
            except Exception as error:
                results.append(error)
        return results
