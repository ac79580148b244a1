"""Tasks: LightningModules that join a network, a loss, metrics, an optimizer and a schedule."""
