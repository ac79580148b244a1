"""Reports on sweeps, cross-validations and runs, as a page of HTML and for the terminal."""
