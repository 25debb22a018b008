"""tickonce inside other programs: each module brings it into one of them, and none knows another."""
