"""Contracts: tests to inherit for your own classes."""
