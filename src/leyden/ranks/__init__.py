"""Several processes for one run, and several jobs on one machine."""
