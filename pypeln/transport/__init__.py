"""The queues of a run, one module for each place that its two ends can be in; and `IterableQueue`."""
