"""The ECR API: repositories, layers, images and what belongs to them, in the words of the service.

Rules that the other door shares are in ``ecru.registry``; here are those that only the API has.
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/
"""
