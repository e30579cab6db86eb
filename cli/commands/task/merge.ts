import type { LogPiece } from "../../../broker/index.js";

interface Source {
  pieces: AsyncGenerator<LogPiece>;
}

/** The pieces of several logs in the order of their times; of each log only one is held. */
export async function* inOrderOfTime<S extends Source>(sources: S[]): AsyncGenerator<{ piece: LogPiece; from: S }> {
  const heads = new Map<S, LogPiece>();
  const advance = async (source: S) => {
    const { value, done } = await source.pieces.next();
    if (done) heads.delete(source);
    else heads.set(source, value);
  };
  await Promise.all(sources.map(advance));
  while (heads.size > 0) {
    const [from, piece] = [...heads].reduce((first, next) => (next[1].at < first[1].at ? next : first));
    yield { piece, from };
    await advance(from);
  }
}
