"""A run on disk: its folder, its fixed config keys and its provenance."""
