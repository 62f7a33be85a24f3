"""The door on ``/v2/``: the OCI distribution specification 1.1, with the additions of its ``dev`` profile that are named.

A route says which request it answers and which IAM action guards it; the dispatcher authenticates, authorises, counts and
renders faults for all of them. Where ECR departs from the specification, the specification wins (docs: fidelity).

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
"""
