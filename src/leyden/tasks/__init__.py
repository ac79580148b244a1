"""Tasks: LightningModules that combine a network, a loss, metrics, an optimizer and a schedule."""
