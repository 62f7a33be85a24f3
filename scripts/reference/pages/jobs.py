"""Every kind of job."""

from datetime import timedelta

from ecru.jobs.declare import Job
from ecru.jobs.worker import JOBS
from ecru.settings import render_span
from scripts.reference.rendering import first_sentence, render_table

_HEAD = """\
# Jobs

What happens later, in the job worker of `ecru serve`. However many workers share a database, each job runs in one of them at a
time. One whose worker dies is taken over by another within a minute.

A job that fails is tried again, after a wait that doubles each time. A regular job that has used up its attempts waits for its next
time; any other is kept in the table `job` with its last error, as a dead letter. The log has a line `job failed` for each failure.

`/metrics` has `ecru_jobs_total` by `kind` and `outcome`: `done`; `failed`, to be tried again; `given up`, until its next time;
`dead`; `lost` to another worker. `ecru_jobs_due` is how many could run now: above zero for minutes, they are more than the workers
can do.

"""


def render() -> str:
    """Render the page."""
    rows = [
        (f"`{job.kind}`", _regularity(job), _retry(job), first_sentence(job.body)) for job in sorted(JOBS, key=lambda job: job.kind)
    ]
    return _HEAD + render_table(["Job", "Runs", "When it fails", "Does"], rows)


def _regularity(job: Job) -> str:
    return "when it is asked for" if job.every is None else f"{_span(job.every)} after it last ended"


def _retry(job: Job) -> str:
    retry = job.retry
    return f"{retry.attempts} attempts, {_span(retry.first_wait)} to {_span(retry.longest_wait)} apart"


def _span(span: timedelta) -> str:
    return f"`{render_span(span)}`"
