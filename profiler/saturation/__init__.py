"""The saturation sweep: up to which rate each arm keeps its objectives."""
