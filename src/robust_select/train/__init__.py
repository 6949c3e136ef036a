"""Makes outcomes: runs a trainer once, or many times side by side.

Called by studies. Knows nothing of rules, criteria or ledgers.
"""
