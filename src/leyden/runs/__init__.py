"""A run on disk: its folder, its checkpoints, where it came from."""
