"""Tables in, tables out: what a table of scores says about its candidates.

Called by the report and the command line. Knows nothing of ledgers, trainers or drawing.
"""
