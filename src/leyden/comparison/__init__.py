"""Comparison of finished runs: statistics, predictions, baselines and reports."""
