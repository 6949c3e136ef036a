"""What numbers mean, on plain arrays: criteria, comparisons of two candidates, resampling.

Called by rules and analysis. Knows nothing of studies, ledgers or trainers.
"""
