"""A server of the standard library that answers in a thread while a block runs."""

import contextlib
import threading


@contextlib.contextmanager
def in_thread(server):
    """The server, which runs in the block and is closed behind it."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
