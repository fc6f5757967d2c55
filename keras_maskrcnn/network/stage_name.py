"""How layers that a cascade has once for each of its box stages are called."""


def stage_name(name: str, stage: int) -> str:
    """Return the name of a layer of a box stage, counted from 0: "box_head", "box_head_2", ..."""
    return f"{name}_{stage + 1}" if stage else name
