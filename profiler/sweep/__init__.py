"""The sweep: one guard, or one stack, over a grid of settings in one run."""
