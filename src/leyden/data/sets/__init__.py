"""Published data sets, one file for each option of conf/data."""
