"""A controller in Python, for the services queue: trains with several learning rates, trains the best one again for longer while it is
not good enough, and hands its model on.

    navvy queue create services                                     # and an agent that serves it: navvy agent start --services 2
    navvy task enqueue $(navvy task create --name search --type controller --code examples/python-controller -o name \\
        -- python3 controller.py) -q services

Each task has a key, so this program may be killed anywhere: when it runs again it finds what it has made and starts nothing twice.
"""

import navvy

RATES = navvy.param("rates", [0.01, 0.1, 0.5])
WANTED = navvy.param("wanted", 0.1)
QUEUE = navvy.param("queue", "default")
CODE = navvy.Task.get("self").record["spec"].get("code")

navvy.abort_children_on_abort()
navvy.step("started", lambda: navvy.note("a new search of %d rates" % len(RATES)))

train = navvy.Task.create("train", ["python3", "train.py"], key="template", code=CODE, parameters={"General/epochs": 5})
runs = []
for rate in RATES:
    run = navvy.Task.clone(train, key="lr-%s" % rate, name="train lr=%s" % rate)
    runs.append(run.set_parameters({"lr": rate}).enqueue(QUEUE))
for done, run in enumerate(navvy.wait_all(runs), 1):
    navvy.progress(done, len(runs), "run")
good = [run for run in runs if run.completed]
if not good:
    raise SystemExit("no run has ended well: %s" % [run.status for run in runs])
best = min(good, key=lambda run: run.metrics["loss"]["min"])

epochs = 5
while not best.meets("loss.min < %s" % WANTED) and epochs < 40:
    epochs *= 2
    rate = best.record["spec"]["parameters"]["General"]["lr"]
    longer = navvy.Task.clone(train, key="epochs-%d" % epochs, name="train for %d epochs" % epochs)
    best = longer.set_parameters({"lr": rate, "epochs": epochs}).enqueue(QUEUE).wait()

judge = navvy.Task.create("judge", ["python3", "compare.py"], key="judge", code=CODE)
judge.set_input("best.json", best, "model.json").enqueue(QUEUE).wait()
navvy.artifact("best.json", best.download("model.json", "downloads"), kind="model")
navvy.output("best", {"task": best.id, "lr": judge.outputs["judged"], "epochs": epochs, "loss": best.metrics["loss"]["min"]})
