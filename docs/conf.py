"""The documentation, as `make docs` builds it into docs/_build: nothing in it asks another machine for anything."""

from __future__ import annotations

import os
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from augface.evaluators import loaded_evaluators
from augface.version import __version__

project = "augface"
author = "the augface contributors"
copyright = "the augface contributors, Apache-2.0"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "cyclopts.ext.sphinx"]
exclude_patterns = ["_build", "jupyter_execute"]
default_role = "literal"

html_theme = "furo"
html_title = f"augface {__version__}"
html_show_sphinx = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

napoleon_use_ivar = True  # attributes of a class's docstring are not described a second time
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "model_config, model_fields, model_computed_fields"}

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 1800
nb_ipywidgets_js: dict[str, Any] = {}
"""Which would be scripts of another server."""
nb_merge_streams = True

os.environ.setdefault("AUGFACE_OFFLINE", "1")


class Evaluators(Directive):
    """What each evaluator asks and how its numbers are read, in its own words."""

    def run(self) -> list[nodes.Node]:
        """A definition list."""
        listed = nodes.definition_list()
        for name, evaluator in loaded_evaluators().items():
            term = nodes.term("", "", nodes.Text(f"{evaluator.section.title} "), nodes.literal("", name))
            meaning = nodes.paragraph("", evaluator.section.meaning)
            listed += nodes.definition_list_item("", term, nodes.definition("", meaning))
        return [listed]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_directive("evaluators", Evaluators)
