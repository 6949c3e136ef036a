"""Problems that come with the package: data, candidates, study files.

Called by the command line's ``demo``. Each is a room of its own; none knows of studies.
"""
