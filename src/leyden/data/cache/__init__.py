"""The on-disk cache of prepared rows."""
