"""Who goes on: selection as an ask/tell machine, the rules, the plan, the replay of a table.

Called by studies, the command line and simulations. Knows nothing of trainers, ledgers or figures.
"""
