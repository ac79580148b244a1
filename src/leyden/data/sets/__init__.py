"""Published data sets, one file for each of their options in conf/data."""
