"""Strategies: how several processes share the work on one network."""
