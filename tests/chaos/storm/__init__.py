"""Real processes, real servers and faults at random: what a fleet of nodes does in a storm, judged from outside."""
