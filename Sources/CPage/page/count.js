// How many tokens the text has, and whether they fit.
import { ask } from "./server.js";
import { hasBlank, withoutBlanks } from "./sheet.js";
import { say } from "./words.js";

/** How many tokens a text has, as the server says; undefined where it has none, or where there is no answer. */
async function tokensOf(text) {
  const { prompt, tokens } = withoutBlanks(text);
  if (prompt === "") return undefined;
  try {
    const answer = await ask("tokenize", { body: { prompt, add_special_tokens: false } });
    return (await answer.json()).count + tokens;
  } catch {
    // Not worth a word: the next change asks again.
    return undefined;
  }
}

export class TokenCount {
  #element;
  #timer;
  /** Of the latest text: answers about those before it are dropped. */
  #asked = 0;
  #tokens;
  #isBlanks;

  constructor(element) {
    this.#element = element;
  }

  /** Asks the server in a moment; `show` is called when it has said. */
  askSoon(text, show) {
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    this.#timer = setTimeout(async () => {
      const tokens = await tokensOf(text);
      if (asked !== this.#asked) return;
      this.#tokens = tokens;
      this.#isBlanks = hasBlank(text);
      show();
    }, 500);
  }

  /** `context`: tokens that fit, where known; `more`: tokens to be written. */
  show(context, more) {
    const tokens = this.#tokens;
    const wanted = this.#isBlanks ? 0 : more;
    this.#element.textContent = tokens === undefined ? ""
      : context && tokens + wanted > context ? say("countTooMany", { tokens, more: wanted, context })
      : say("countOf", { tokens, context });
  }
}
