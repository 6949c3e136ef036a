"""Robust selection inside the libraries that users already have; each room loads its library only when asked for.

Called by users. Nothing else of the package knows of it.
"""
