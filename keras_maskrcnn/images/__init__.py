"""Reading images, and resizing them as each source of weights does."""
