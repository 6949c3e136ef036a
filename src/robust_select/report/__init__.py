"""Shows: figures for print and one self-contained page.

Called by the command line. Computes nothing that belongs to analysis.
"""
