"""How Sphinx makes the site: `tox run -e docs`."""

import os
import re
from pathlib import Path

from sphinx.util import inspect

import kseq

HERE = Path(__file__).parent

project = "kseq"
author = "The kseq authors"
copyright = "the kseq authors"
version = release = kseq.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
templates_path = ["_templates"]
exclude_patterns = ["_templates"]

# Pages. Only those that are notebooks are executed: docs/tutorials.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "smartquotes"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # a cache would not see that kseq has changed
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds for a cell; one asks three backends
# What a library writes beside its results differs from run to run.
nb_output_stderr = "remove"

# Docstrings.
autosummary_generate = True
autodoc_typehints = "none"  # a docstring says what they cannot: the shapes
autodoc_member_order = "bysource"
default_role = "py:obj"  # `DynamicGRU` is a link, `steps` a word
add_module_names = False
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    "Differences from DeepCTR",
    "Reference",
    # "Returns: type: text", as napoleon reads it, has a colon too many.
    "Returns",
]

html_theme = "furo"
html_title = f"kseq {release}"
pygments_dark_style = "github-dark"  # furo's underlines each import
html_static_path = ["_static"]
html_css_files = ["kseq.css"]
html_show_sphinx = False
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# On GitHub: each page links to its source.
if repository := os.environ.get("GITHUB_REPOSITORY"):
    html_theme_options = {
        "source_repository": f"https://github.com/{repository}/",
        "source_branch": "main",
        "source_directory": "docs/",
    }


def restructured(text: str) -> str:
    """A docstring's `$$...$$` and `$...$` as reStructuredText."""

    def shown(found: re.Match[str]) -> str:
        formula = re.sub(r"\n\s*", "\n   ", found["formula"].strip())
        block = f"\n\n.. math::\n\n   {formula}\n\n"
        return block.replace("\n", "\n" + found["indent"])

    def inline(found: re.Match[str]) -> str:
        return f":math:`{' '.join(found['formula'].split())}`"

    def escape(line: re.Match[str]) -> str:
        return line[0].replace('_"', '\\_"')

    text = re.sub(
        r"^(?P<indent> *)\$\$(?P<formula>.+?)\$\$",
        shown,
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    text = re.sub(r"\$(?P<formula>[^$]+)\$", inline, text)
    # "hist_" is no link; an example's is as it stands.
    return re.sub(r'^(?! *(?:>>>|\.\.\.)).*_".*$', escape, text, flags=re.M)


def included_pages() -> dict[Path, str]:
    """The files that are a page here: `{file: name of the page}`."""
    return {
        (page.parent / file).resolve(): page.relative_to(HERE).as_posix()
        for page in HERE.rglob("*.md")
        for file in re.findall(r"^```\{include\} (\S+)", page.read_text(), re.M)
    }


def setup(app):
    pages = included_pages()

    def lead_to_pages(app, document, source):
        """Links to included files, as on GitHub, lead to their pages."""
        folder = (HERE / document).parent

        def link(found: re.Match[str]) -> str:
            page = pages.get((folder / found["file"]).resolve())
            return f"](/{page}" if page else found[0]

        source[0] = re.sub(r"\]\((?P<file>\.\.[^)#]+)", link, source[0])

    def docstring(app, what, name, obj, options, lines):
        lines[:] = restructured("\n".join(lines)).split("\n")

    def signature(app, what, name, obj, options, given, returns):
        """A layer's arguments, which Keras's `__new__` hides."""
        if what != "class":
            return None
        found = inspect.signature(obj.__init__, bound_method=True)
        return inspect.stringify_signature(found, show_annotation=False), None

    app.connect("source-read", lead_to_pages)
    app.connect("autodoc-process-signature", signature)
    # Before napoleon, which comes at 500.
    app.connect("autodoc-process-docstring", docstring, priority=400)
