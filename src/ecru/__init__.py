"""Amazon ECR that you run yourself: an OCI registry on ``/v2/`` and the AWS APIs beside it, over one truth."""

from importlib.metadata import version

__version__ = version("ecru")
