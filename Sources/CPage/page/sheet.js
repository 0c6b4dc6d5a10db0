// The sheet: the person's text in a text field, and what the model wrote right behind its last character.
import { Choices, TokenView, percent, probability, shade } from "./tokens.js";
import { onLanguage, say } from "./words.js";

const BLANK = /<blank(?::(\d+))?>/g;
/** What the server tries for a blank of any length. */
const LONGEST_BLANK = 8;
const byId = id => document.getElementById(id);

export const hasBlank = text => text.search(BLANK) >= 0;

/** The text around blanks, and how many tokens the blanks have at most. */
export function withoutBlanks(text) {
  let tokens = 0;
  const prompt = text.replace(BLANK, (_, size) => {
    tokens += Number(size ?? LONGEST_BLANK);
    return "";
  });
  return { prompt, tokens };
}

function make(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function button(word, action, className) {
  const element = make("button", className, say(word));
  element.type = "button";
  element.addEventListener("click", action);
  return element;
}

export class Sheet {
  #text = byId("text");
  #mirror = byId("mirror");
  #answer = byId("answer");
  #choices = new Choices(byId("choices"));
  #actions;
  #shown;
  #views = [];
  #heads = [];
  #isStale = false;

  /** `actions`: changed(), choose(sample, token, alternative), keep(sample), copy(text), restore(). */
  constructor(actions) {
    this.#actions = actions;
    this.#text.addEventListener("input", () => {
      this.#reflect();
      actions.changed();
    });
    new ResizeObserver(() => this.#place()).observe(this.#mirror);
    document.fonts?.ready.then(() => this.#place());
    onLanguage(() => {
      const { run, isStale } = this.#shown ?? {};
      this.#shown = undefined;
      if (run) this.show(run, isStale);
    });
  }

  get text() { return this.#text.value; }

  set text(text) {
    this.#text.value = text;
    this.#reflect();
  }

  focusEnd() {
    this.#text.focus();
    this.#text.setSelectionRange(this.text.length, this.text.length);
  }

  /** Puts `text` in place of the selection (or at `from`), so that the browser's undo knows of it. */
  insert(text, from = this.#text.selectionStart, to = this.#text.selectionEnd) {
    this.#text.focus();
    this.#text.setSelectionRange(from, to);
    if (!document.execCommand("insertText", false, text)) {
      this.#text.setRangeText(text, from, to, "end");
      this.#reflect();
      this.#actions.changed();
    }
  }

  get selection() { return this.text.slice(this.#text.selectionStart, this.#text.selectionEnd); }

  /** The same text behind the text field, for its height, its end, and the colour of blanks. */
  #reflect() {
    const parts = [];
    let end = 0;
    for (const match of this.text.matchAll(BLANK)) {
      parts.push(this.text.slice(end, match.index), make("mark", "", match[0]));
      end = match.index + match[0].length;
    }
    // A space of no width: a line break at the end begins a line.
    parts.push(this.text.slice(end), make("span", "end", "\u200b"));
    this.#mirror.replaceChildren(...parts);
    this.#place();
  }

  /** Lets the answer begin where the text ends. */
  #place() {
    const output = this.#answer.querySelector(":scope > .output");
    const end = this.#mirror.querySelector(".end");
    this.#answer.classList.toggle("inline", output !== null);
    if (!output || !end) {
      this.#answer.style.marginTop = "";
      return;
    }
    const inside = this.#mirror.getBoundingClientRect();
    const mark = end.getClientRects()[0];
    const style = getComputedStyle(this.#mirror);
    const line = Number.parseFloat(style.lineHeight);
    const middle = mark.top + mark.height / 2 - inside.top;
    this.#answer.style.marginTop = `${middle - line / 2 - this.#text.offsetHeight}px`;
    output.style.textIndent = `${mark.left - inside.left - Number.parseFloat(style.paddingLeft)}px`;
  }

  /** Shows what the model wrote: a run, filled blanks, or nothing. `isStale`: for another text than is there now. */
  show(run, isStale) {
    const isSame = this.#shown?.run === run && this.#isStale === isStale;
    this.#isStale = isStale;
    if (!isSame) {
      this.#shown = run && { run, isStale };
      this.#choices.close();
      this.#views = [];
      this.#heads = [];
      this.#answer.replaceChildren(...(run ? this.#build(run, isStale) : []));
      byId("sheet").classList.toggle("answered", run !== undefined);
      this.#place();
    }
    run?.samples?.forEach((sample, index) => {
      this.#views[index].show(sample, sample.finish === null);
      if (this.#heads[index]) this.#heads[index].textContent = heading(run, sample, index);
    });
  }

  focusToken(sample, index) { this.#views[sample]?.focus(index); }

  closeChoices() { this.#choices.close(); }

  #build(run, isStale) {
    const parts = [];
    if (isStale) {
      parts.push(make("p", "stale line", make("span", "", say("stale")),
        button("restore", () => this.#actions.restore(), "quiet")));
    }
    if (run.blanks) return [...parts, this.#filled(run)];
    this.#views = run.samples.map((sample, index) =>
      new TokenView(this.#choices, (token, alternative) => this.#actions.choose(index, token, alternative)));
    if (run.samples.length === 1 && run.kind === "samples") {
      return isStale ? [...parts, make("div", "old", this.#views[0].element)] : [this.#views[0].element];
    }
    const versions = make("div", "versions", ...run.samples.map((sample, index) => {
      const head = make("h3");
      this.#heads.push(head);
      return make("article", "version", head, this.#views[index].element, make("div", "line",
        button("goOnWith", () => this.#actions.keep(index)),
        button("copy", () => this.#actions.copy(run.prompt + sample.text), "quiet")));
    }));
    return [...parts, versions];
  }

  /** The text with what was put into its blanks. */
  #filled(run) {
    const texts = run.prompt.split(/<blank(?::\d+)?>/);
    const output = make("div", "output");
    texts.forEach((text, i) => {
      output.append(text);
      const blank = run.blanks[i];
      if (!blank || i === texts.length - 1) return;
      const logprob = blank.logprob === undefined ? undefined : blank.logprob / Math.max(1, blank.ids.length);
      const mark = make("mark", "filled", blank.text);
      mark.dataset.p = shade({ logprob }) ?? 0;
      mark.title = say("blankFilled", { text: blank.text, percent: percent(probability({ logprob })) });
      output.append(mark);
    });
    return make("div", "version filled", output);
  }
}

function heading(run, sample, index) {
  const parts = [say(run.kind === "beams" ? "beam" : "sample", { n: index + 1 })];
  if (sample.score !== undefined) parts.push(say("score", { score: sample.score.toFixed(3) }));
  const known = sample.tokens.filter(token => token.logprob !== undefined);
  if (known.length) {
    const mean = known.reduce((sum, token) => sum + token.logprob, 0) / known.length;
    parts.push(say("perToken", { percent: (100 * Math.exp(mean)).toFixed(0) }));
  }
  return parts.join(" · ");
}
