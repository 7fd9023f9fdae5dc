"""The report as one HTML document that needs nothing else: no server, no network, no other file."""
