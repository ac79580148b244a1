"""Workflows: from a frozen config to what a command promises."""
