"""Masks as arrays, crops and RLE."""
