"""What `pypeln demo` runs: one pipeline of threads, tasks and processes. Start with `job.py`."""
