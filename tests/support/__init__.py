"""What tests share: watchdog, search for leaks, kinds of workers and queues, notes between processes."""
