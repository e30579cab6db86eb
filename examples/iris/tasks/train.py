"""The twin of train.mjs in Python's standard library: the whole protocol is environment variables and files.

    NAVVY_PARAMS     JSON file: {"General": {"lr": 0.1}}
    NAVVY_INPUTS     folder with train.csv and validation.csv
    NAVVY_EVENTS     append JSON lines: metrics, progress, outputs
    NAVVY_ARTIFACTS  folder: what is left in it is kept
"""

import csv
import json
import math
import os
import random

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SPECIES = ["setosa", "versicolor", "virginica"]


def read_rows(name):
    with open(os.path.join(os.environ["NAVVY_INPUTS"], name), newline="") as file:
        return [([float(row[f]) for f in FEATURES], SPECIES.index(row["species"])) for row in csv.DictReader(file)]


def new_model(rows):
    columns = list(zip(*(features for features, _ in rows)))
    mean = [sum(column) / len(column) for column in columns]
    deviation = [math.sqrt(sum((v - m) ** 2 for v in column) / len(column)) or 1 for column, m in zip(columns, mean)]
    weights = [[random.uniform(-0.1, 0.1) for _ in FEATURES] for _ in SPECIES]
    return {"kind": "softmax regression", "features": FEATURES, "species": SPECIES,
            "mean": mean, "deviation": deviation, "weights": weights, "bias": [0.0] * len(SPECIES)}


def scaled(model, features):
    return [(v - m) / d for v, m, d in zip(features, model["mean"], model["deviation"])]


def predict(model, x):
    scores = [sum(w * v for w, v in zip(row, x)) + b for row, b in zip(model["weights"], model["bias"])]
    powers = [math.exp(s - max(scores)) for s in scores]
    return [p / sum(powers) for p in powers]


def learn(model, x, label, lr):
    for k, probability in enumerate(predict(model, x)):
        error = probability - (k == label)
        model["weights"][k] = [w - lr * error * v for w, v in zip(model["weights"][k], x)]
        model["bias"][k] -= lr * error


def score(model, rows):
    results = [(predict(model, scaled(model, features)), label) for features, label in rows]
    loss = -sum(math.log(max(p[label], 1e-12)) for p, label in results) / len(rows)
    return loss, sum(p.index(max(p)) == label for p, label in results) / len(rows)


def main():
    with open(os.environ["NAVVY_PARAMS"]) as file:
        params = json.load(file).get("General", {})
    lr, epochs, seed = params.get("lr", 0.1), params.get("epochs", 60), params.get("seed", 7)
    random.seed(seed)
    rows, validation = read_rows("train.csv"), read_rows("validation.csv")
    model = new_model(rows)

    with open(os.environ["NAVVY_EVENTS"], "a", buffering=1) as events:
        def report(**event):
            events.write(json.dumps(event) + "\n")

        for epoch in range(1, epochs + 1):
            random.shuffle(rows)
            for features, label in rows:
                learn(model, scaled(model, features), label, lr)
            (train_loss, train_accuracy), (loss, accuracy) = score(model, rows), score(model, validation)
            report(t="scalars", step=epoch, kv={"train/loss": train_loss, "train/accuracy": train_accuracy,
                                                "validation/loss": loss, "validation/accuracy": accuracy})
            report(t="progress", n=epoch, of=epochs, unit="epoch")
        report(t="output", k="validation/loss", v=loss)
        report(t="output", k="validation/accuracy", v=accuracy)

    with open(os.path.join(os.environ["NAVVY_ARTIFACTS"], "model.json"), "w") as file:
        json.dump({**model, "lr": lr, "epochs": epochs, "seed": seed}, file, indent=2)
    print(f"loss {loss:.4f}, accuracy {accuracy:.3f} after {epochs} epochs")


main()
