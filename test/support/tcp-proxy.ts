import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A link that a test can cut and mend. */
export interface Proxy extends AsyncDisposable {
  /** Where clients connect, on 127.0.0.1. */
  readonly port: number;
  /**
   * Stops all traffic both ways. `hold` (default) is a dead link: connections stay open and say nothing, new ones are
   * taken and never answered. `drop` is a gone one: connections break, new ones are closed at once.
   */
  cut(how?: "hold" | "drop"): void;
  /** Lets traffic through again; what was held back arrives. */
  heal(): void;
  close(): Promise<void>;
}

/** One client's connection and, once made, its way to the target. */
interface Link {
  client: Socket;
  target?: Socket;
}

/** Starts a TCP proxy on a free loopback port in front of a port of 127.0.0.1. */
export async function startProxy(targetPort: number): Promise<Proxy> {
  const links = new Set<Link>();
  let state: "open" | "hold" | "drop" = "open";
  // Nothing may be read from a client before there is somewhere to send it.
  const server = createServer({ pauseOnConnect: true }, (client) => {
    if (state === "drop") return client.destroy();
    const link: Link = { client };
    links.add(link);
    bury(link, client);
    if (state === "open") join(link);
  });

  /** A side that breaks takes the other with it, but on a cut link neither hears of the other before it heals. */
  function bury(link: Link, socket: Socket): void {
    socket.on("error", () => {
      // "close" follows and is acted on.
    });
    socket.on("close", () => {
      if (state !== "hold") destroy(link);
    });
  }

  function join(link: Link): void {
    if (link.target === undefined) {
      link.target = connect(targetPort, "127.0.0.1");
      bury(link, link.target);
    }
    link.client.pipe(link.target).pipe(link.client);
  }

  function destroy(link: Link): void {
    links.delete(link);
    link.client.destroy();
    link.target?.destroy();
  }

  function hold({ client, target }: Link): void {
    client.unpipe().pause();
    target?.unpipe().pause();
  }

  function cut(how: "hold" | "drop" = "hold"): void {
    state = how;
    links.forEach(how === "drop" ? destroy : hold);
  }

  function heal(): void {
    state = "open";
    for (const link of links) {
      const isBroken = link.client.destroyed || link.target?.destroyed;
      if (isBroken) destroy(link);
      else join(link);
    }
  }

  async function close(): Promise<void> {
    for (const link of links) destroy(link);
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, cut, heal, close, [Symbol.asyncDispose]: close };
}
