"""Stage descriptions, their validation, and the plan of a run. Starts nothing."""
