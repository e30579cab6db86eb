"""Reads the model that it was given as an input, and judges it."""

import json

import navvy

with open(navvy.input("best.json")) as file:
    model = json.load(file)
navvy.output("judged", model["lr"])
