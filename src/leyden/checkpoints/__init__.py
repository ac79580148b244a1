"""Checkpoints: their names and keys, reading and writing."""
