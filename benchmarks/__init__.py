"""Benchmarks: what tickonce does beside what the database alone could do, on your machine. See README.md."""
