"""Optimisation that torch lacks: learning-rate schedules by run length, parameter groups, Lion."""
