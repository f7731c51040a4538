"""Training: one loop that yields events, its feed, its checkpoints and its listeners; it knows no model by name."""
