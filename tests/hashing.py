"""Argon2id as everywhere, with the least work: tests make thousands of people."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2(Argon2PasswordHasher):
    """Takes a fraction of a millisecond instead of a tenth of a second."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1
