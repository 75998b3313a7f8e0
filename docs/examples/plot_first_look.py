"""
A first look at a response curve
================================

Sixteen learning rates on five splits of a small table, and what they came to. The line is the
smoothed mean that the choice is made on; the grey area holds the rates that are as good within one
standard error.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_metalr import LearningCurvesDisplay, LearningRateDisplay, MetaLRClassifier

X, y = load_breast_cancer(return_X_y=True)
model = make_pipeline(StandardScaler(), MetaLRClassifier(random_state=0)).fit(X, y)
chosen = model[-1]
print(f"learning rate {chosen.best_learning_rate_:.2g}, {chosen.best_n_epochs_} epochs")

LearningRateDisplay.from_estimator(chosen, default_rate=1e-3)

# %%
# Each rate has its own best number of epochs. High rates are best early, and get worse after that.

LearningCurvesDisplay.from_estimator(chosen)
