"""Names that other libraries do not promise: each library's in one file, read in its source."""

import ast
import re
from importlib.metadata import version
from pathlib import Path

import pytest

import sk_metalr

PACKAGE = Path(sk_metalr.__file__).parent
FENCES = {
    "_sklearn.py": ("scikit-learn", (1, 7), (1, 9)),
    "_keras.py": ("keras", (3, 8), (3, 15)),
    "_models/_scikeras.py": ("scikeras", (0, 13), (0, 13)),
    "_population/random.py": ("tensorflow", (2, 17), (2, 21)),
}
OF_NAMED_TUPLES = {"_replace", "_asdict"}
SECOND_NAMES = ("keras.src", "tensorflow.python", "scikeras.utils.random_state")
"""Modules that are private without an underscore."""


@pytest.mark.parametrize("file", FENCES)
def test_a_fence_says_for_which_versions_it_was_written(file):
    library, oldest, newest = FENCES[file]
    installed = tuple(map(int, re.findall(r"\d+", version(library))[:2]))
    assert oldest <= installed <= newest, (
        f"{library} {version(library)} is newer than what {file} was written for: read its source, "
        "run the whole suite, and raise the version here and in the file"
    )
    said = re.search(r"written for versions? (\d+\.\d+)", (PACKAGE / file).read_text())
    assert said, file
    assert said[1] == ".".join(map(str, oldest))


def test_no_other_file_uses_private_names():
    trees = {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text())
        for path in PACKAGE.rglob("*.py")
    }
    own = {
        name
        for tree in trees.values()
        for node in ast.walk(tree)
        for name in _defined(node)
        if name.startswith("_")
    }
    foreign = {
        f"{file}: {name}"
        for file, tree in trees.items()
        if file not in FENCES
        for node in ast.walk(tree)
        for name in _used(node)
        if name not in own | OF_NAMED_TUPLES
    }
    assert not foreign


def _defined(node):
    """Yield the names that a piece of this package's code defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign | ast.Assign):
        for target in [node.target] if isinstance(node, ast.AnnAssign) else node.targets:
            for part in ast.walk(target):
                yield getattr(part, "attr", getattr(part, "id", ""))


def _used(node):
    """Yield private attributes that code reads, and private modules that it imports."""
    if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
        yield node.attr
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        if node.module.startswith(SECOND_NAMES) or re.search(r"(^|\.)_[a-z]", node.module):
            yield node.module
        yield from (alias.name for alias in node.names if re.match(r"_[a-z]", alias.name))
