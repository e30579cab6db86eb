/** Where a value would go in; `refused`: it can not, and why. */
export type ShellPlace = "bare" | "single" | "double" | "arithmetic" | { refused: string };

type Context =
  /** The top, or `$( )`: `open` counts the plain parentheses in it. */
  | { kind: "command"; nested: boolean; open: number; documents: Document[] }
  | { kind: "single" | "double" | "backtick" | "comment" }
  | { kind: "parameter"; inDouble: boolean; takesWord: boolean }
  /** `isWord`: `$(( ))`, else a command of bash's. */
  | { kind: "arithmetic"; open: number; isWord: boolean }
  | { kind: "document"; document: Document; isLineStart: boolean };

interface Document {
  end: string;
  stripTabs: boolean;
  isLiteral: boolean;
}

const HERE_DOCUMENT = /<<(-?)[ \t]*((?:'[^'\n]*'|"[^"\\\n$`]*"|\\.|[^\s;&|()<>'"\\$`])+)/y;
const TAKES_WORD = /(?:[A-Za-z_]\w*|\d+)(?::?[-=+?]|##?|%%?)/y;
/** Substitutions that are whole on one line and hold no quotes. */
const SIMPLE = /\$\([^(){}'"`\\\n]*\)|\$\{[^{}'"`\\\n]*\}|`[^{}'"`\\\n]*`|\$(?![({])/y;

/**
 * Goes through a script for sh or bash and knows, at each place, what the shell takes a value there for. Where the two would read it
 * differently, or it takes more than this to tell, `doubt` says why from there on: nothing is inserted then.
 */
export class ShellReader {
  readonly #text: string;
  readonly #contexts: Context[] = [{ kind: "command", nested: false, open: 0, documents: [] }];
  #at = 0;
  #isWordStart = true;
  /** What was just read closed something that is part of a word: `$(date)#1` holds no comment. */
  #isMidWord = false;
  #doubt: string | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  get isComment(): boolean {
    return this.#top.kind === "comment";
  }

  get doubt(): string | undefined {
    return this.#doubt;
  }

  get place(): ShellPlace {
    const top = this.#top;
    if (top.kind === "document") return { refused: "it stands in a here-document (<<)" };
    if (top.kind === "backtick") return { refused: "it stands between backticks; $( ) can hold it" };
    if (top.kind === "parameter" && (top.inDouble || !top.takesWord)) return { refused: "it stands within a ${ } of the shell" };
    if (top.kind === "single" || top.kind === "double" || top.kind === "arithmetic") return top.kind;
    const word = /\S*$/.exec(this.#text.slice(Math.max(0, this.#at - 200), this.#at))![0];
    return /\w\[[^\]]*$/.test(word) ? { refused: "it stands in [ ] behind a name, which bash computes" } : "bare";
  }

  /** Goes on behind something that is not the shell's. */
  jump(to: number): void {
    this.#at = to;
    this.#isWordStart = false;
  }

  /** The next piece, which may open or close something. */
  next(): string {
    const from = this.#at;
    this.#isMidWord = false;
    const length = this.#read(this.#top);
    const text = this.#text.slice(from, from + length);
    this.#at = from + length;
    if (text !== "\\\n") this.#isWordStart = !this.#isMidWord && /[\s;&|()<>]$/.test(text) && !text.startsWith("\\");
    return text;
  }

  #read(top: Context): number {
    const character = this.#text[this.#at]!;
    switch (top.kind) {
      case "command":
        return this.#command(top, character);
      case "single":
        if (character === "'") this.#contexts.pop();
        return 1;
      case "double":
        if (character === '"') return this.#closed();
        return this.#common(character, true);
      case "backtick":
        if (character === "`") return this.#closed();
        if (/['"\\]/.test(character)) this.#doubts("the quotes between backticks before it are read in more than one way; $( ) is not");
        return 1;
      case "comment":
        if (character !== "\n") return 1;
        this.#contexts.pop();
        return this.#read(this.#top);
      case "parameter":
        return this.#parameter(top, character);
      case "arithmetic":
        return this.#arithmetic(top, character);
      case "document":
        return this.#document(top, character);
    }
  }

  #command(top: Context & { kind: "command" }, character: string): number {
    if (character === "'") return this.#opened({ kind: "single" });
    if (character === '"') return this.#opened({ kind: "double" });
    if (character === "#" && this.#isWordStart) return this.#opened({ kind: "comment" });
    if (character === "<") return this.#redirection(top);
    if (character === "\n") return this.#lineEnd(top);
    if (character === "(" || character === ")") return this.#parenthesis(top, character);
    if (top.nested && this.#isWordStart && /^case\s/.test(this.#text.slice(this.#at, this.#at + 5)))
      this.#doubts("there is a case within the $( ) before it");
    if (this.#startsWith("=~")) this.#doubts("there is a pattern (=~) before it, which has quotes of its own");
    return this.#common(character, false);
  }

  /** What holds in and outside of double quotes. */
  #common(character: string, inDouble: boolean): number {
    if (character === "\\") return 2;
    if (character === "`") return this.#opened({ kind: "backtick" });
    if (character !== "$") return 1;
    if (this.#startsWith("$((")) return this.#opened({ kind: "arithmetic", open: 2, isWord: true }, 3);
    if (this.#startsWith("$(")) return this.#opened({ kind: "command", nested: true, open: 0, documents: [] }, 2);
    if (this.#startsWith("${")) {
      TAKES_WORD.lastIndex = this.#at + 2;
      return this.#opened({ kind: "parameter", inDouble, takesWord: TAKES_WORD.test(this.#text) }, 2);
    }
    if (this.#startsWith("$[")) this.#doubts("there is a $[ ] before it; write $(( ))");
    if (this.#startsWith("$'") && !inDouble) this.#doubts("there is a $'…' before it, which sh and bash read differently");
    return 1;
  }

  #parenthesis(top: Context & { kind: "command" }, character: string): number {
    if (this.#startsWith("((")) return this.#opened({ kind: "arithmetic", open: 2, isWord: false }, 2);
    if (character === ")" && top.nested && top.open === 0) return this.#closed();
    if (character === "(") top.open++;
    else if (top.open > 0) top.open--;
    return 1;
  }

  #redirection(top: Context & { kind: "command" }): number {
    if (this.#startsWith("<<<")) return 3;
    if (!this.#startsWith("<<")) return 1;
    HERE_DOCUMENT.lastIndex = this.#at;
    const [whole, dash, word] = HERE_DOCUMENT.exec(this.#text) ?? [];
    if (whole === undefined || word === undefined || (/['"]/.test(word) && word.includes("\\"))) {
      this.#doubts("the here-document (<<) before it has an end that is not plain");
      return 2;
    }
    const end = word.replace(/\\(.)|['"]/g, "$1");
    top.documents.push({ end, stripTabs: dash === "-", isLiteral: end !== word });
    return whole.length;
  }

  #lineEnd(top: Context & { kind: "command" }): number {
    const outer = this.#contexts.some((each) => each !== top && each.kind === "command" && each.documents.length > 0);
    if (outer) this.#doubts("a here-document (<<) before it begins within a $( ) of the same line");
    for (const document of top.documents.reverse()) this.#contexts.push({ kind: "document", document, isLineStart: true });
    top.documents = [];
    return 1;
  }

  #parameter(top: Context & { kind: "parameter" }, character: string): number {
    if (character === "}") return this.#closed();
    if (/['"]/.test(character) && top.inDouble) this.#doubts("there are quotes within a ${ } within quotes before it");
    else if (character === "'") return this.#opened({ kind: "single" });
    else if (character === '"') return this.#opened({ kind: "double" });
    return this.#common(character, top.inDouble);
  }

  #arithmetic(top: Context & { kind: "arithmetic" }, character: string): number {
    if (/['"`\\]/.test(character) || this.#startsWith("<<") || this.#startsWith(" #"))
      this.#doubts("the (( )) before it is read in more than one way");
    if (character === "(") top.open++;
    if (character === ")" && --top.open === 0) return this.#closed();
    return character === "$" ? this.#common(character, true) : 1;
  }

  #document(top: Context & { kind: "document" }, character: string): number {
    const { end, stripTabs, isLiteral } = top.document;
    if (top.isLineStart) {
      const line = /^[^\n]*/.exec(this.#text.slice(this.#at))![0];
      if ((stripTabs ? line.replace(/^\t+/, "") : line) === end) {
        this.#contexts.pop();
        return Math.min(line.length + 1, this.#text.length - this.#at);
      }
    }
    top.isLineStart = character === "\n";
    if (isLiteral) return 1;
    if (character === "\\") return 2;
    SIMPLE.lastIndex = this.#at;
    if (!/[$`]/.test(character)) return 1;
    if (SIMPLE.test(this.#text)) return SIMPLE.lastIndex - this.#at;
    this.#doubts("there is more than a plain $name in the here-document before it");
    return 1;
  }

  #opened(context: Context, length = 1): number {
    this.#contexts.push(context);
    return length;
  }

  #closed(): number {
    const closed = this.#contexts.pop();
    this.#isMidWord = closed?.kind !== "arithmetic" || closed.isWord;
    return 1;
  }

  #doubts(why: string): void {
    this.#doubt ??= why;
  }

  #startsWith(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  get #top(): Context {
    return this.#contexts.at(-1)!;
  }
}
