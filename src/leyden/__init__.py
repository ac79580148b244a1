"""Leyden: a PyTorch Lightning + Hydra project template."""
