"""Workflows: functions that do the work of each command, without a command line."""
