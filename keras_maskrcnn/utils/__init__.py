"""Files that are whole or not there, and the text in them."""
