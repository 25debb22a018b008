"""``tickonce demo``: a small fleet on this machine, edited and killed while it runs, then judged from outside."""
