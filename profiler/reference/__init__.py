"""`python -m profiler.reference`: the reference run on a GPU, in one command."""
