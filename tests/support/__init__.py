"""What tests share: the watchdog, the search for leaks, kinds of workers and queues, and notes between processes."""
