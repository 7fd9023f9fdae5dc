"""The capacity plan: how many replicas each arm takes for a rate, from a saturation sweep."""
