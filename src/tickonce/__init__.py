"""tickonce: cron for a fleet of Python processes."""
