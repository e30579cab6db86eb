/**
 * The filter of an attempt that has secrets: a small process between the task and its spool files.
 *
 * It is a program of its own, `node redaction-filter.js <agent>`, because nothing that the task prints may lie on a disk with a value
 * in it, also when the agent, and its spawner, die: it ends when nobody can write any more. The values come by stdin, and it knows them
 * for as long as it runs. Only `node:` modules are imported here.
 */
import { createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { FilteredStream, type StreamPlace } from "./redaction/filtered-stream.js";
import { automatonOf } from "./redaction/patterns.js";

/** What comes by stdin. */
export interface FilterOrder {
  values: string[];
  streams: StreamPlace[];
  /** Whoever is connected there learns of the end by the end of the connection, and may ask for it: `end`. */
  socketPath: string;
}

const LOOK_MS = 1_000;
/** An agent that died before the task was started leaves nobody who ever will. */
const LOOKS = 10;

function serve({ values, streams: places, socketPath }: FilterOrder): void {
  const automaton = automatonOf(values);
  const streams = places.map((place) => new FilteredStream(place, automaton));
  const end = () => streams.forEach((stream) => stream.end());
  const peers = new Set<Socket>();
  const server = createServer((socket) => {
    peers.add(socket);
    socket.on("error", () => {}); // the close that follows says so
    socket.on("close", () => peers.delete(socket));
    socket.on("data", end);
  });
  // Told on stdout, because the agent has nothing else to wait for before there is a socket.
  server.listen(socketPath, () => process.stdout.write("ready\n"));
  let looks = 0;
  const looking = setInterval(() => {
    for (const stream of streams) stream.look();
    if (streams.every(({ isOpened }) => isOpened)) return clearInterval(looking);
    if (peers.size > 0) looks = 0;
    else if (++looks >= LOOKS) end();
  }, LOOK_MS);
  void Promise.all(streams.map(({ ended }) => ended)).then(() => {
    clearInterval(looking);
    server.close();
    for (const socket of peers) socket.destroy();
  });
}

// A terminal's Ctrl-C or a service manager's SIGTERM is for the agent to act on: we end with the task.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
process.stdout.on("error", () => {}); // whoever started us is gone
process.stderr.on("error", () => {});

// oxlint-disable-next-line eslint/no-restricted-properties -- a program of its own, with one argument
process.title = `navvy redactor of ${process.argv[2] ?? "an agent"}`;
serve(JSON.parse(await text(process.stdin)) as FilterOrder);
