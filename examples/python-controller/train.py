"""A stand-in for a training: a loss that falls with the epochs, fastest where the learning rate is near 0.1."""

import json

import navvy

lr = navvy.param("lr", 0.01)
epochs = navvy.param("epochs", 5)
pull = 1 / (1 + abs(lr - 0.1) * 20)
for epoch in range(1, epochs + 1):
    navvy.log({"loss": (1 - pull) + 1 / (1 + 3 * epoch)}, step=epoch)
    navvy.progress(epoch, epochs, "epoch")
navvy.artifact("model.json", json.dumps({"lr": lr, "epochs": epochs}).encode(), kind="model")
