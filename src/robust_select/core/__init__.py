"""What things are: candidates, instances and seeds, outcomes, tables, protocols, errors.

The lowest floor: imported by every room, imports none.
"""
