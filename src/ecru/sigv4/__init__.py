"""Signature Version 4: whether a request was signed with a secret, and what exactly was signed.

Pure: the secret, the time and what may be asked for are arguments. Whose the access key is, and whether a session token
belongs to it and is still good, is the business of ``ecru.access``; under which code a fault is told, that of ``ecru.aws``.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""
