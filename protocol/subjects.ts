import { checkName } from "./names.js";
import type { Needs } from "./needs.js";

/**
 * Every subject of navvy. One namespace (default `navvy`) prefixes all of them, so several fleets share a server.
 *
 *   <ns>.v1.queue.<queue>.<class>.<shape>   work-queue stream: `ticket` messages
 *   <ns>.v1.event.<kind>.<id>               stream: every change, for audit and triggers
 *   <ns>.v1.log.<task>.<attempt>            stream: chunks of stdout and stderr
 *   <ns>.v1.metric.<task>.<attempt>         stream: batches of points
 *   <ns>.v1.metric.<task>.<attempt>.media   stream: plots, images and the like
 *   <ns>.v1.fleet.<agent>.beat              core: an agent's public sign of life
 *   <ns>.v1.agent.<agent>.<verb>            core: request and reply with one agent
 *   <ns>.v1.wake.<queue>.<shape>            core: doorbell; losing one costs latency only
 *   <ns>.v1.child.<parent>                  core: doorbell: a task with that parent has changed
 */
export const CLASSES = ["front", "high", "normal", "low"] as const;
export type QueueClass = (typeof CLASSES)[number];

export const AGENT_VERBS = ["ping", "info", "drain", "resume", "stop", "upgrade", "abort", "doctor"] as const;
export type AgentVerb = (typeof AGENT_VERBS)[number];

export const EVENT_KINDS = ["task", "agent", "queue", "schedule", "trigger", "fleet"] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export const DEFAULT_NAMESPACE = "navvy";

/** A queue's lane: one class and one shape, with a durable consumer of its own. */
export interface Lane {
  queue: string;
  class: QueueClass;
  shape: string;
  /** What its tasks ask for, where the shape's name alone does not say it. */
  needs?: Needs | undefined;
}

export class Subjects {
  readonly namespace: string;
  readonly root: string;

  constructor(namespace: string = DEFAULT_NAMESPACE) {
    this.namespace = checkName("namespace", namespace);
    this.root = `${this.namespace}.v1`;
  }

  lane(lane: Lane): string {
    return `${this.root}.queue.${lane.queue}.${lane.class}.${lane.shape}`;
  }
  /** All lanes of a queue. */
  queue(queue: string): string {
    return `${this.root}.queue.${queue}.>`;
  }
  /** The durable consumer's name. `.` can not stand in it; queue names hold no `+`. */
  laneConsumer(lane: Lane): string {
    return `${lane.queue}+${lane.class}+${lane.shape}`;
  }
  event(kind: EventKind, id: string): string {
    return `${this.root}.event.${kind}.${id}`;
  }
  log(taskId: string, attempt: number): string {
    return `${this.root}.log.${taskId}.${attempt}`;
  }
  metric(taskId: string, attempt: number | "*"): string {
    return `${this.root}.metric.${taskId}.${attempt}`;
  }
  media(taskId: string, attempt: number | "*"): string {
    return `${this.metric(taskId, attempt)}.media`;
  }
  /** Those of all tasks. */
  get allMedia(): string {
    return `${this.root}.metric.*.*.media`;
  }
  beat(agent: string): string {
    return `${this.root}.fleet.${agent}.beat`;
  }
  agent(agent: string, verb: AgentVerb): string {
    return `${this.root}.agent.${agent}.${verb}`;
  }
  wake(queue: string, shape: string): string {
    return `${this.root}.wake.${queue}.${shape}`;
  }
  child(parent: string): string {
    return `${this.root}.child.${parent}`;
  }
  /** Takes a subject apart: ["queue", "default", "normal", "cpu"]; undefined when it is not one of ours. */
  parse(subject: string): string[] | undefined {
    return subject.startsWith(`${this.root}.`) ? subject.slice(this.root.length + 1).split(".") : undefined;
  }
}
