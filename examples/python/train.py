"""Logistic regression in a few lines, reporting to navvy. It runs by hand too: python3 train.py

    navvy run --code examples/python -p General/lr=0.5 -p General/epochs=20 -- python3 train.py
"""

import json
import math
import os
import random

try:
    import navvy
except ImportError:  # by hand: navvy.py lies in the package
    import sys

    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "task", "python"))
    import navvy

lr = navvy.param("lr", 0.5)
epochs = navvy.param("epochs", 10)
random.seed(navvy.param("Data/seed", 7))

points = [(random.gauss(label * 2, 1), random.gauss(-label, 1), label) for label in [0, 1] * 100]
weights = [0.0, 0.0, 0.0]


@navvy.on_abort
def save():
    navvy.artifact("weights.json", json.dumps(weights).encode(), kind="model")


def predict(x, y):
    return 1 / (1 + math.exp(-(weights[0] * x + weights[1] * y + weights[2])))


for epoch in range(epochs):
    loss = 0.0
    for x, y, label in points:
        error = predict(x, y) - label
        loss -= math.log(1 - abs(error) + 1e-9)
        for i, value in enumerate((x, y, 1)):
            weights[i] -= lr / 10 * error * value
    accuracy = sum((predict(x, y) > 0.5) == (label == 1) for x, y, label in points) / len(points)
    navvy.log({"loss": loss / len(points), "accuracy": accuracy}, step=epoch)
    navvy.histogram("weights", weights, step=epoch)
    navvy.progress(epoch + 1, epochs, "epoch")

navvy.output("accuracy", accuracy)
navvy.table("weights", ["name", "weight"], list(zip(("x", "y", "bias"), weights)))
navvy.summary("# Logistic regression\n\nAccuracy **%.3f** after %d epochs." % (accuracy, epochs))
save()
print("accuracy %.3f" % accuracy)
