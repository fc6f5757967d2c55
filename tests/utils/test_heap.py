"""Memory that is given back."""

import ctypes
import gc
import sys
import weakref

import pytest

from keras_maskrcnn.utils import heap
from keras_maskrcnn.utils.heap import give_back, gives_back_once


class Knot:
    """Something that holds itself, and that only the garbage collector lets go."""

    def __init__(self):
        self.own = self


def test_what_nothing_needs_is_let_go():
    gc.disable()
    try:
        let_go = weakref.ref(Knot())
        assert let_go() is not None
        give_back()
        assert let_go() is None
    finally:
        gc.enable()


class Glibc:
    """A C library that notes what it is asked."""

    def __init__(self):
        self.asked = []

    def malloc_trim(self, pad):
        self.asked.append(pad)


@pytest.mark.parametrize("platform, asked", [("linux", [0]), ("darwin", []), ("win32", [])])
def test_glibc_is_asked_for_its_free_pages(monkeypatch, platform, asked):
    library = Glibc()
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    give_back()
    assert library.asked == asked


def test_of_another_c_library_python_alone_gives_back(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # musl has no malloc_trim
    let_go = weakref.ref(Knot())
    give_back()
    assert let_go() is None


def test_only_the_first_call_of_a_function_gives_back(monkeypatch):
    given = []
    monkeypatch.setattr(heap, "give_back", lambda: given.append(len(calls)))
    calls = []

    def step(number, *, more):
        """Take a step."""
        calls.append(number)
        return number + more

    tidy = gives_back_once(step)
    assert [tidy(number, more=10) for number in range(3)] == [10, 11, 12]
    assert (calls, given, tidy.__doc__) == ([0, 1, 2], [1], "Take a step.")


def test_a_call_that_fails_gives_nothing_back(monkeypatch):
    given = []
    monkeypatch.setattr(heap, "give_back", lambda: given.append(True))
    failing = iter([True, False])

    def step():
        if next(failing):
            raise RuntimeError("no")

    tidy = gives_back_once(step)
    with pytest.raises(RuntimeError):
        tidy()
    assert not given
    tidy()
    assert given == [True]
