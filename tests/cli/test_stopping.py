import os
import signal

import pytest

from keras_maskrcnn.cli.stopping import stop_on_interrupt


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_is_noted_and_a_second_one_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_on_interrupt() as is_stopped:
        assert not is_stopped()
        interrupt()
        assert is_stopped()
        interrupt()
    assert signal.getsignal(signal.SIGINT) is before


def test_after_the_block_it_interrupts_as_before():
    with stop_on_interrupt():
        pass
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_a_process_that_ignores_ctrl_c_goes_on_to():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_interrupt() as is_stopped:
            interrupt()
            assert not is_stopped() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
