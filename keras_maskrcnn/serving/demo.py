"""The demo's server: the page, with all that it loads, from this machine alone. Needs Gradio."""

import gradio as gr
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keras_maskrcnn.serving.requests import Limits

OWN_HOST_ALONE = "; ".join(
    (
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'self'",
    )
)
"""The Content-Security-Policy by which a browser loads nothing from elsewhere and sends nothing there."""
CSS = """
#picture { min-height: 7rem; border: 2px dashed var(--body-text-color-subdued) !important; white-space: normal; }
#picture.over { border-color: var(--color-accent) !important; }
#drawn img { width: 100%; max-height: 75vh; object-fit: contain; }
#examples, #examples * { min-height: 0; }
#examples .grid-wrap { max-height: 20rem; overflow-x: hidden; }
#examples .grid-container { grid-template-columns: repeat(3, minmax(0, 1fr)) !important; }
#summary [role=alert] { border-left: 4px solid #dc2626; padding: .5rem .75rem; background: #dc262618; }
#summary p { overflow-wrap: anywhere; }
#heading h1 { font-size: 1.4rem; font-weight: 600; overflow-wrap: anywhere; }
"""
SCRIPT = """
() => {
  const give = (files) => {
    const input = document.querySelector("input[type=file]");
    if (!input || !files.length) return;
    const one = new DataTransfer();
    one.items.add(files[0]);
    input.files = one.files;
    input.dispatchEvent(new Event("change", {bubbles: true}));
  };
  const over = (is) => document.getElementById("picture")?.classList.toggle("over", is);
  document.addEventListener("paste", (event) => give(event.clipboardData.files));
  document.addEventListener("dragover", (event) => { event.preventDefault(); over(true); });
  document.addEventListener("dragleave", () => over(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    give(event.dataTransfer.files);
  });
  document.body.dataset.listens = "";
}
"""
"""An image that is dropped or pasted anywhere on the page goes the way of one that is chosen."""


def make_demo(page: gr.Blocks, limits: Limits) -> FastAPI:
    """Return the application that serves a page.

    Args:
        page: what `make_page` returns.
        limits: of uploaded files.
    """
    app = FastAPI(openapi_url=None)
    app.add_middleware(_OwnHostAlone)
    return gr.mount_gradio_app(
        app,
        page,
        "/",
        footer_links=[],
        run_history=False,
        max_file_size=limits.bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Default(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")),
        css=CSS,
        js=SCRIPT,
    )


class _OwnHostAlone:
    """Adds the policy to each answer."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = OWN_HOST_ALONE
            await send(message)

        await self._app(scope, receive, send_with_policy if scope["type"] == "http" else send)
