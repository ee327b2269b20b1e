"""What one element goes through: each operator's definition and its public call, for every kind of worker."""
