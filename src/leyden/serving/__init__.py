"""Exported networks: writing them, and predicting with them without torch."""
