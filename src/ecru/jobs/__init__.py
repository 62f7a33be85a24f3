"""What happens later: jobs, and the worker that runs them.

Responsible for declaring jobs (one module per kind) and for running them one at a time for each key, again after a failure,
and elsewhere after a crash. Leaves the queue itself to ``metadata.queue``. Doors know no jobs: what they change is found in
the tables, or will be announced as an event.
"""
