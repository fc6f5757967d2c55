"""C++ sources of the RoIAlign op and their build."""
