"""Chaos: servers that are killed at random under load, and the count of every credit afterwards.

    python -m tests.chaos 60

Clients do whatever can be done with credits. What got no answer they send again, with the same key, to any server,
until it is definite. What they were told is held against the database in the end, fact by fact.
"""
