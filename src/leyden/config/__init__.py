"""Composing, checking and building configs."""
