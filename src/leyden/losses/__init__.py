"""Losses that torch does not have. Files in ``conf/loss/`` name those of torch directly."""
