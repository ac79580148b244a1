"""Models other than networks, measured on the same rows as runs."""
