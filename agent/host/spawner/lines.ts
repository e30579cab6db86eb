import type { Socket } from "node:net";

/** Calls back with each whole line's value. Whoever sends anything else is cut off: the other side must not die of it. */
export function readLines<T>(socket: Socket, each: (message: T) => void): void {
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const message = parse<T>(line);
      if (message === undefined) return void socket.destroy();
      each(message);
    }
  });
}

function parse<T>(line: string): T | undefined {
  try {
    return JSON.parse(line) as T;
  } catch {
    return undefined;
  }
}

/** Writes lines in one go per turn of the event loop: at hundreds of tasks a second the system calls would dominate. */
export class LineWriter<T> {
  readonly #socket: Socket;
  #waiting = "";

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(message: T): void {
    if (this.#waiting === "") setImmediate(() => this.flush());
    this.#waiting += `${JSON.stringify(message)}\n`;
  }

  /** Hands over what waits at once: before the connection is ended. */
  flush(): void {
    if (this.#waiting !== "" && this.#socket.writable) this.#socket.write(this.#waiting);
    this.#waiting = "";
  }
}
