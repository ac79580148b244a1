"""Batches of cached rows: their order, fetching and loading."""
