"""Callbacks: behaviour that every task can have."""
