"""The Security Token Service: who a caller is.

https://docs.aws.amazon.com/STS/latest/APIReference/
"""
