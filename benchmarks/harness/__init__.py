"""What every benchmark case shares: declaring, measuring, fresh processes, rounds and the report."""
