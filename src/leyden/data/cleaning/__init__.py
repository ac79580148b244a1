"""Cleaning steps, which decide which rows are kept."""
