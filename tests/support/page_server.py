"""The demo's page, served on a free port of this machine while a block runs."""

import contextlib
import threading
import time

import pytest


@contextlib.contextmanager
def served_page(folder, *arguments, limits, **options):
    """Serve `make_page(*arguments, limits, **options)`; yield its URL. Uploads and results are put into the folder."""
    import uvicorn

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        from keras_maskrcnn.serving.demo import make_demo
        from keras_maskrcnn.serving.page import make_page

        app = make_demo(make_page(*arguments, limits, **options), limits)
        server = uvicorn.Server(
            uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.02)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
