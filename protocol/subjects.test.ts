import { describe, expect, test } from "vitest";
import { Assets } from "./assets.js";
import { AGENT_VERBS, CLASSES, EVENT_KINDS, Subjects } from "./subjects.js";

const subjects = new Subjects();
const id = "01KAQD4XW7J9M2ZC5T8RB3FVNH";
const lane = { queue: "default", class: "front", shape: "g2" } as const;

describe("subjects", () => {
  test.each([
    [subjects.lane(lane), "navvy.v1.queue.default.front.g2"],
    [subjects.event("task", id), `navvy.v1.event.task.${id}`],
    [subjects.log(id, 2), `navvy.v1.log.${id}.2`],
    [subjects.metric(id, 2), `navvy.v1.metric.${id}.2`],
    [subjects.beat("gpu-7"), "navvy.v1.fleet.gpu-7.beat"],
    [subjects.agent("gpu-7", "drain"), "navvy.v1.agent.gpu-7.drain"],
    [subjects.wake("default", "g1"), "navvy.v1.wake.default.g1"],
  ])("%s is what the protocol says", (subject, expected) => {
    expect(subject).toBe(expected);
  });

  test("come apart into what they were made of", () => {
    for (const name of CLASSES) expect(subjects.parse(subjects.lane({ ...lane, class: name }))).toEqual(["queue", "default", name, "g2"]);
    for (const kind of EVENT_KINDS) expect(subjects.parse(subjects.event(kind, id))).toEqual(["event", kind, id]);
    for (const verb of AGENT_VERBS) expect(subjects.parse(subjects.agent("gpu-7", verb))).toEqual(["agent", "gpu-7", verb]);
    expect(subjects.parse(subjects.log(id, 2))).toEqual(["log", id, "2"]);
  });

  test("of another fleet are not ours", () => {
    const others = new Subjects("lab");
    expect(others.lane(lane)).toBe("lab.v1.queue.default.front.g2");
    expect([subjects.parse(others.lane(lane)), subjects.parse("navvy.v2.queue.a.b.c"), subjects.parse("navvy.v1")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("can not hold a namespace of several tokens", () => {
    expect(() => new Subjects("a.b")).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });

  test("a lane's consumer has a name without dots", () => {
    expect(subjects.laneConsumer(lane)).toBe("default+front+g2");
  });
});

describe("streams and buckets", () => {
  test("each carries the fleet's name, so that several share a server", () => {
    const { streams, buckets, objects } = new Assets("lab");
    const all = [...Object.values(streams), ...Object.values(buckets), objects];
    expect(all.filter(({ name }) => !name.startsWith("lab_"))).toEqual([]);
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  test("no two streams take the same subject", () => {
    const { streams } = new Assets();
    const taken = Object.values(streams).flatMap((stream) => stream.subjects);
    expect(new Set(taken).size).toBe(taken.length);
    expect(taken.filter((subject) => !subject.startsWith("navvy.v1."))).toEqual([]);
  });
});
