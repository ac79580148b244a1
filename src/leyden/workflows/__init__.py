"""Workflows: what each command does, without a command line."""
