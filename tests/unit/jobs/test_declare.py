"""What is said about a job."""

from datetime import timedelta
from itertools import pairwise

import pytest

from ecru.jobs.declare import Job, Retry
from ecru.jobs.worker import JOBS

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    "attempt, seconds", [(1, 10), (2, 20), (3, 40), (4, 60), (5, 60), (10_000, 60)], ids=lambda value: f"{value}"
)
def test_the_wait_after_an_attempt_doubles_up_to_the_longest(attempt: int, seconds: int) -> None:
    retry = Retry(attempts=3, first_wait=10 * SECOND, longest_wait=60 * SECOND)

    assert retry.wait_after(attempt) == seconds * SECOND


def test_every_kind_of_job_has_a_name_of_its_own() -> None:
    assert all(one < other for one, other in pairwise(sorted(job.kind for job in JOBS)))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_every_job_says_why_a_second_run_is_harmless(job: Job) -> None:
    assert "second run" in (job.body.__doc__ or "")
