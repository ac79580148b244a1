"""Losses that torch lacks. Those of torch are named directly in ``conf/loss/``."""
