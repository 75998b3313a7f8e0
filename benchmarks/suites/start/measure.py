"""The first fit: seconds from the import to a fitted model on iris, each in a new process.

Plain Keras imports itself and fits the network once; the other process imports sk_metalr, searches
with everything at its default, and refits. They alternate.
"""

import subprocess
import sys
from statistics import median

from benchmarks.harness.fingerprint import ROOT

N_ROUNDS = 5

PLAIN = """
from time import perf_counter
start = perf_counter()
import keras
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
hidden = [keras.layers.Dense(128, activation="relu") for _ in range(2)]
model = keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(3, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(X, y, epochs=20, batch_size=32, verbose=0)
print(perf_counter() - start)
"""

OURS = """
from time import perf_counter
start = perf_counter()
from sk_metalr import MetaLRClassifier
from benchmarks.harness.networks import keras_classifier
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
MetaLRClassifier(keras_classifier(20), random_state=0).fit(X, y)
print(perf_counter() - start)
"""


def cells(quick: bool) -> dict[str, dict]:
    """Return what is measured in a process of its own."""
    return {} if quick else {"start, iris": {"n_rounds": N_ROUNDS}}


def measure(n_rounds: int) -> dict:
    """Return median seconds of both."""
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(n_rounds):
        for name, code in (("plain", PLAIN), ("ours", OURS)):
            seconds[name].append(seconds_of(code))
    return {name: median(several) for name, several in seconds.items()}


def seconds_of(code: str) -> float:
    """Run code in a new process; return the number in its last line."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return float(output.split()[-1])
