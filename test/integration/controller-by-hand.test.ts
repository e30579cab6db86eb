import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { Task } from "../../controller/index.js";
import { byHand, controllerFleet as fleet, named, program } from "../support/controller-fleet.js";

describe("a program run by hand", () => {
  const waits = `
    const me = await Task.init({ name: "by hand", project: "tests", parameters: { "General/n": 3 } });
    me.log.scalar("score", 0.5); me.log.scalar("score", 0.75); me.log.progress(1, 2, "runs"); me.log.output("n", me.getParameter("n"));
    await me.log.artifact("notes.txt", new TextEncoder().encode("hello"));`;

  test("is a running task while it runs and completed when it is done, without being told", async () => {
    await using it = await fleet({ agents: 0 });
    const file = await program(
      it.folder,
      `${waits}\nawait new Promise((resolve) => process.stdin.once("data", resolve)); process.stdin.destroy();`,
    );
    const child = byHand(file, it.nats);
    const record = await named(it.navvy, "by hand");
    await it.navvy.tasks.wait(record.id, { until: (task) => task.status === "running", timeoutMs: 10_000 });
    child.stdin?.write("go\n");
    expect((await child).exitCode).toBe(0);
    const task = await Task.get(record.id);
    expect([task.status, task.record.taskType, task.outcome]).toEqual(["completed", "controller", { kind: "exited", code: 0 }]);
    expect([task.metrics.get("score")?.max, task.outputs, task.record.reported.progress]).toEqual([
      0.75,
      { n: 3 },
      { n: 1, of: 2, unit: "runs" },
    ]);
    expect((await task.metrics.series("score")).map((point) => point.value)).toEqual([0.5, 0.75]);
    expect(await task.artifacts.get("notes.txt").text()).toBe("hello");
    expect(await it.navvy.fleet.agents()).toEqual([]);
  });

  test("ends by itself although a wait of it ran out of time", async () => {
    await using it = await fleet({ agents: 0 });
    const file = await program(
      it.folder,
      `const task = await Task.create({ name: "never run", command: ["true"], queue: "default" });
       for (const timeoutMs of [0, 1, 5]) await task.wait({ timeoutMs }).catch((error) => console.log(error.code));`,
    );
    const { exitCode, stdout } = await byHand(file, it.nats);
    expect([exitCode, stdout]).toEqual([0, "timeout\ntimeout\ntimeout"]);
  });

  test("is failed when it throws, with the message in its outcome", async () => {
    await using it = await fleet({ agents: 0 });
    const file = await program(it.folder, `await Task.init({ name: "broken" }); throw new Error("no data");`);
    const { exitCode, stderr } = await byHand(file, it.nats);
    expect([exitCode, stderr.includes("Error: no data")]).toEqual([1, true]);
    expect(await named(it.navvy, "broken")).toMatchObject({ status: "failed", outcome: { kind: "exited", code: 1, reason: "no data" } });
  });

  test("is aborted by Ctrl-C while it waits, and its wait says so", async () => {
    await using it = await fleet({ agents: 0 });
    const file = await program(
      it.folder,
      `await Task.init({ name: "interrupted" });
       const child = await Task.create({ name: "never run", command: ["true"], queue: "default" });
       const ended = child.wait();
       console.log("waiting");
       await ended.catch((error) => { console.log(error.code, error.name); throw error; });`,
    );
    const child = byHand(file, it.nats);
    await once(child.stdout as NodeJS.ReadableStream, "data");
    child.kill("SIGINT");
    const { exitCode, stdout, stderr } = await child;
    expect([exitCode, stdout, stderr]).toEqual([130, "waiting\naborted NavvyError", ""]);
    expect(await named(it.navvy, "interrupted")).toMatchObject({
      status: "aborted",
      outcome: { kind: "aborted", reason: "SIGINT was received" },
    });
  });

  test("ends when someone else aborts its task", async () => {
    await using it = await fleet({ agents: 0 });
    const file = await program(it.folder, `await Task.init({ name: "unwanted" }); setInterval(() => {}, 1000);`);
    const child = byHand(file, it.nats);
    const record = await named(it.navvy, "unwanted");
    await it.navvy.tasks.wait(record.id, { until: (task) => task.status === "running", timeoutMs: 10_000 });
    await (await Task.get(record.id)).abort("not needed");
    expect((await child).exitCode).toBe(143);
    expect((await Task.get(record.id)).status).toBe("aborted");
  });

  test("goes on as a controller on the services queue when it says executeRemotely", async () => {
    await using it = await fleet();
    const file = await program(
      it.folder,
      `const me = await Task.init({ name: "wanderer", parameters: { "General/n": 5 } });
       await me.executeRemotely("services");
       const child = await Task.create({ name: "child", command: ["true"], queue: "default", key: "child" });
       await child.wait();
       me.log.output("child", child.status); me.log.output("args", process.argv.slice(2)); me.log.output("n", me.getParameter("n"));`,
    );
    const { exitCode, stderr, stdout } = await byHand(file, it.nats, { node: false, extendEnv: true });
    expect([exitCode, stdout, stderr.split("\n").length]).toEqual([0, "", 1]);
    const id = /goes on as task (\w{26}) on queue services \(navvy logs -f /.exec(stderr)?.[1] ?? stderr;
    const remote = await (await Task.get(id)).wait({ timeoutMs: 30_000 });
    expect([remote.status, remote.record.taskType, remote.outputs]).toEqual([
      "completed",
      "controller",
      { child: "completed", args: [], n: 5 },
    ]);
    expect((await it.navvy.tasks.list({ name: "child" }))[0]?.parent).toBe(id);
  });
});
