"""Numbers of things in sentences."""


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return "1 image" or "3 images"; `plural` is of nouns that take more than an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
