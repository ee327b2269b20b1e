"""One execution of a pipeline: what starts, watches and ends its workers, and what runs inside them."""
