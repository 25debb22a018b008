"""Rules taken out of the code one at a time: for each, a test or a simulated fleet must turn red."""
