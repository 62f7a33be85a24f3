"""The AWS door: ``POST /`` as the ECR, ECR Public and STS clients speak it.

Responsible for the wire: which operation is meant, what its input may say, who signed it, and how answers and errors are
written. The service models that botocore ships are the schema; nothing of them is restated here. What an operation does is
in one package per service, and what it shares with ``/v2/`` in ``ecru.registry``.

Follows the AWS JSON 1.1 and Query protocols (https://smithy.io/2.0/aws/protocols/).
"""
