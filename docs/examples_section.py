"""Makes the reference show our docstring sections as they are meant.

Called by ``mkdocs build``, through griffe. Knows nothing of the library.
"""

import re
from typing import Any

import griffe


class ExamplesSection(griffe.Extension):
    """Reads ``Example:`` as Google's ``Examples:`` and ``Assumes: text`` as a paragraph."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object that was just loaded."""
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = re.sub(r"^Assumes: ", "**Assumes:** ", text, flags=re.MULTILINE)
