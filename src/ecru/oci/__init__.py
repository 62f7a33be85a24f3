"""The OCI vocabulary: digests, names, descriptors, manifests, byte ranges.

Text and bytes from strangers go in, values that can be trusted come out; nothing here reads a clock, a file or a
socket. Whether what a manifest names exists is the business of ``ecru.registry``; how a fault reads on the wire, that of
the doors.

Follows the OCI image spec 1.1.1 (https://github.com/opencontainers/image-spec/tree/v1.1.1), the distribution spec 1.1.1
(https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md) and Docker's image manifest version 2, schema 2
(https://distribution.github.io/distribution/spec/manifest-v2-2/).
"""
