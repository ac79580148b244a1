"""Comparison of finished runs: intervals and tests, label errors, calibration."""
