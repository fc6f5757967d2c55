"""Words that choose how is drawn, on the command line and on the demo's page, and `draw_instances`' values of them."""

LABELS: dict[str, bool | str] = {
    "auto": "auto",
    "all": True,
    "none": False,
    "legend": "legend",
    "strip": "strip",
}
BOXES: dict[str, bool | str] = {"auto": "auto", "all": True, "none": False}
COLOR_BY = ("auto", "instance", "class")
