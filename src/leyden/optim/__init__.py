"""Learning-rate schedules that scale with the length of the run, and parameter groups."""
