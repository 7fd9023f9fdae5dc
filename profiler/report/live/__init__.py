"""What a run says while it is under way: a view for a terminal, lines for a pipe, JSON events for a program."""
