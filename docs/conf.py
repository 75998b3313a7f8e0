"""How the documentation is built: sphinx-build -W --keep-going docs docs/_build/html."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sk_metalr

project = "sk_metalr"
author = "The sk_metalr developers"
copyright = author
release = version = sk_metalr.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
html_static_path = ["_static"]
exclude_patterns = ["_build", "examples", "_templates", "gallery/**/*.ipynb", "gallery/**/*.md5"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
nitpicky = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # types are in the docstrings
numpydoc_show_class_members = False  # the template lists the methods that are documented here
numpydoc_validation_checks = set()  # tests/test_documentation.py validates

# Scripts that are named plot_* are run; the others in that folder are programs of their own.
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]+\.py$",
    "doc_module": ("sk_metalr",),
    "reference_url": {"sk_metalr": None},
    "backreferences_dir": None,
    "remove_config_comments": True,
    "ignore_repr_types": r"sk_metalr|matplotlib",
    "show_memory": False,
    "download_all_examples": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "sk_metalr"
html_css_files = ["custom.css"]
html_theme_options = {
    "logo": {"text": "sk_metalr"},
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {
    "tutorial": [],
    "comparison": [],
    "migration": [],
    "glossary": [],
    "contributing": [],
    "architecture": [],
    "changelog": [],
}
html_show_sourcelink = False
