"""Comparing runs: statistics, baselines and reports."""
