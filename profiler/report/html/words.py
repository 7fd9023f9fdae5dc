"""What the page calls things: the words of the terminal's tables."""

LATENCY = {"ttft_ms": "TTFT", "tpot_ms": "TPOT", "e2el_ms": "E2EL"}
