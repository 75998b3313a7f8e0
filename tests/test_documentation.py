"""What is written down is true."""

import doctest
import inspect
import re
from pathlib import Path

from sk_metalr import MetaLRClassifier, _estimator

README = Path(__file__).parents[1] / "README.md"


def test_the_examples_in_docstrings_run():
    results = doctest.testmod(_estimator)
    assert results.attempted > 0
    assert results.failed == 0


def test_the_examples_in_the_readme_run(capsys):
    first, wider = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    names = {}
    exec(compile(first, str(README), "exec"), names)
    rate, n_epochs = capsys.readouterr().out.split()
    assert 1e-5 < float(rate) < 1
    assert 1 <= int(n_epochs) <= 20
    exec(compile(wider, str(README), "exec"), names)
    smaller = {"estimator__epochs": 3, "n_candidates": 3, "n_splits": 1}
    fitted = names["wider"].set_params(**smaller).fit(names["X"], names["y"])
    assert len(fitted.cv_results_["params"]) == 3 * 3 * 2
    assert len(fitted.estimators_) == 5


def test_every_parameter_is_documented_with_its_default():
    text = inspect.getdoc(MetaLRClassifier).replace("\\\n", " ")
    for name, parameter in inspect.signature(MetaLRClassifier).parameters.items():
        found = re.search(rf"^{name} : (.*?)default=(\S+)$", text, flags=re.MULTILINE | re.DOTALL)
        assert found, f"{name} is not documented with a default"
        assert found.group(2) == repr(parameter.default).replace("'", '"')
