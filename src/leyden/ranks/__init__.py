"""Processes: several ranks of one run, and several jobs on one machine."""
