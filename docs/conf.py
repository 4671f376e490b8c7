"""Configuration of Sphinx: `tox run -e docs`."""

import os
import re
from pathlib import Path

from sphinx.util import inspect

import kseq
import kseq.layers

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
    "sphinx-mathjax-offline",  # formulas without a network
]
templates_path = ["_templates"]
exclude_patterns = ["_templates"]

# Pages. Only notebooks are executed: docs/tutorials.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "smartquotes"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # a cache ignores changes of kseq
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds per cell; one runs three backends
# Warnings and progress bars differ from run to run.
nb_output_stderr = "remove"

# Docstrings.
autosummary_generate = True
# The page that explains an object; see _templates/autosummary.
GUIDES = {
    "kseq.agreement": "/own_layers",
    "kseq.convert": "/deepctr",
    "kseq.data": "/data",
    "kseq.export": "/export",
    "kseq.feature_column": "/models",
    "kseq.hashing": "/deepctr",
    "kseq.losses": "/models",
    "kseq.models": "/models",
    "kseq.ops": "/tutorials/your_own_layer",
    "kseq.optimizers": "/tables",
} | {
    f"kseq.layers.{name}": f"/layers/{member.__module__.rpartition('.')[2]}"
    for name, member in vars(kseq.layers).items()
    if callable(member)
}
autosummary_context = {"guides": GUIDES}
toc_object_entries = False  # a page of the reference has one object
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
default_role = "py:obj"  # links `DynamicGRU`; `steps` stays plain code
add_module_names = False
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    "Differences from DeepCTR",
    "Reference",
    # Napoleon would read the text before the first colon as a type.
    "Returns",
]

html_theme = "furo"
html_title = f"kseq {release}"
pygments_dark_style = "github-dark"  # furo's default underlines imports
html_static_path = ["_static"]
html_css_files = ["kseq.css"]
html_show_sphinx = False
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# On GitHub, each page links to its source.
if repository := os.environ.get("GITHUB_REPOSITORY"):
    html_theme_options = {
        "source_repository": f"https://github.com/{repository}/",
        "source_branch": "main",
        "source_directory": "docs/",
    }


def convert_math(text: str) -> str:
    """Convert a docstring's `$$...$$` and `$...$` to reStructuredText."""

    def display(match: re.Match[str]) -> str:
        formula = re.sub(r"\n\s*", "\n   ", match["formula"].strip())
        block = f"\n\n.. math::\n\n   {formula}\n\n"
        return block.replace("\n", "\n" + match["indent"])

    def inline(match: re.Match[str]) -> str:
        return f":math:`{' '.join(match['formula'].split())}`"

    def escape(line: re.Match[str]) -> str:
        return line[0].replace('_"', '\\_"')

    text = re.sub(
        r"^(?P<indent> *)\$\$(?P<formula>.+?)\$\$",
        display,
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    text = re.sub(r"\$(?P<formula>[^$]+)\$", inline, text)
    # In reStructuredText, a trailing underscore as in "hist_" makes a link.
    # Examples are literal already.
    return re.sub(r'^(?! *(?:>>>|\.\.\.)).*_".*$', escape, text, flags=re.M)


# "Callable[..., Any]" says no more than "Callable".
ANY_IN_BRACKETS = re.compile(r"\[[^\[\]]*\bAny\b[^\[\]]*\]")
# Text of a page, outside tags.
TEXT = r"(?<=>)[^<>]+(?=<)"
# Long names may break between their words, other words nowhere.
LONG_NAME = re.compile(r"\b(?=[\w.]*(?:[a-z][A-Z]|[_.][A-Za-z]))[\w.]{14,}\b")
# Browsers break "4.5e-16" and "12.3-14.5" after the hyphen.
NUMBER = re.compile(r"(?<![\w.-])\d[\d.]*(?:e?-\d[\d.]*)+(?![\w-])")
INLINE_MATH = r'<span class="math[^<]*</span>'


def break_lines(html: str) -> str:
    """Mark where the text of HTML may break, and where it must not."""

    def mark(text: re.Match[str]) -> str:
        broken = LONG_NAME.sub(
            lambda name: re.sub(
                r"(?<=[a-z])(?=[A-Z])|(?<=[_.])(?=[A-Za-z])", "<wbr>", name[0]
            ),
            text[0],
        )
        return NUMBER.sub(r'<span class="unbroken">\g<0></span>', broken)

    # Code blocks scroll, and MathJax reads the formulas.
    html = re.sub(
        rf'(<pre>.*?</pre>|<div class="math.*?</div>|{INLINE_MATH})|{TEXT}',
        lambda match: match[1] or mark(match),
        html,
        flags=re.S,
    )
    # A formula and the punctuation after it.
    return re.sub(
        rf"{INLINE_MATH}[.,;:)]+", r'<span class="unbroken">\g<0></span>', html
    )


def included_pages() -> dict[Path, str]:
    """The included files and the pages that include them."""
    return {
        (page.parent / file).resolve(): page.relative_to(HERE).as_posix()
        for page in HERE.rglob("*.md")
        for file in re.findall(r"^```\{include\} (\S+)", page.read_text(), re.M)
    }


def setup(app):
    pages = included_pages()

    def link_to_pages(app, document, source):
        """Replace links to included files with links to their pages."""
        folder = (HERE / document).parent

        def link(match: re.Match[str]) -> str:
            page = pages.get((folder / match["file"]).resolve())
            return f"](/{page}" if page else match[0]

        source[0] = re.sub(r"\]\((?P<file>\.\.[^)#]+)", link, source[0])

    def docstring(app, what, name, obj, options, lines):
        lines[:] = convert_math("\n".join(lines)).split("\n")

    def signature(app, what, name, obj, options, default, returns):
        """A layer's arguments, which Keras's `__new__` hides."""
        if what != "class":
            return None
        arguments = inspect.signature(obj.__init__, bound_method=True)
        text = inspect.stringify_signature(arguments, show_annotation=False)
        return text, None

    def types(app, domain, objtype, content):
        """Shorten types, and leave out `Any` and unions of arrays."""
        for hints in app.env.current_document.autodoc_annotations.values():
            for argument, hint in list(hints.items()):
                hint, count = hint.replace("[...]", "..."), 1
                while count:
                    hint, count = ANY_IN_BRACKETS.subn("", hint)
                hints[argument] = hint
                if re.search(r"\bAny\b|_typing", hint):
                    del hints[argument]

    def lines(app, page, template, context, document):
        for name in ("body", "furo_navigation_tree"):
            if context.get(name):
                context[name] = break_lines(context[name])
        for name in ("prev", "next"):
            if context.get(name):
                title = break_lines(f">{context[name]['title']}<")[1:-1]
                context[name] = context[name] | {"title": title}

    app.connect("source-read", link_to_pages)
    app.connect("autodoc-process-signature", signature)
    # Runs before napoleon, whose priority is 500.
    app.connect("autodoc-process-docstring", docstring, priority=400)
    # Runs before autodoc adds the types, and after Furo's navigation.
    app.connect("object-description-transform", types, priority=400)
    app.connect("html-page-context", lines, priority=900)
