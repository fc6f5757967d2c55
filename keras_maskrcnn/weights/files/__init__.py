"""Readers and writers of weight files, which run nothing that is in them."""
