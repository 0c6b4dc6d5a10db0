// Tokens on the page: coloured by probability, moved through by keys, with a list of what else could stand there.
import { onLanguage, say } from "./words.js";

const BOUNDS = [0.8, 0.5, 0.2, 0.05, 0.01];

export const probability = token => token.logprob === undefined ? undefined : Math.exp(token.logprob);

/** 0 for what was sure, 5 for a surprise; undefined where nothing is known. */
export function shade(token) {
  const p = probability(token);
  if (p === undefined) return undefined;
  const step = BOUNDS.findIndex(bound => p >= bound);
  return step < 0 ? BOUNDS.length : step;
}

export function percent(p) {
  if (p === undefined) return "";
  const value = 100 * p;
  return value < 0.01 ? "< 0.01 %" : `${value.toFixed(value >= 9.95 ? 0 : value >= 0.995 ? 1 : 2)} %`;
}

/** Whether something else could stand in a token's place. Beams come without. */
const hasChoices = token => token.top.length > 0;

/** A token as one reads it aloud or in a list; what nobody can see by its numbers. */
export function visible(text) {
  if (text === "</s>") return say("endOfText");
  if (text === "\n") return say("newline");
  if (text.trim() === "") return say("space");
  if (/[^\p{C}\p{Z}]/u.test(text)) return text;
  const number = character => character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  return Array.from(text, character => `U+${number(character)}`).join(" ");
}

/** One sample's tokens in a group that takes one stop of the Tab key; `open` shows the choices of a token. */
export class TokenView {
  element = document.createElement("div");
  #shown = [];
  #current = 0;
  #caret = document.createElement("span");
  #choices;
  #choose;

  /** `choose(index, alternative)` is called with what a person takes. */
  constructor(choices, choose) {
    [this.#choices, this.#choose] = [choices, choose];
    this.element.className = "output";
    this.element.setAttribute("role", "group");
    this.#caret.className = "caret";
    this.#caret.hidden = true;
    this.element.append(this.#caret);
    const hovered = event => this.#indexOf(event.target);
    this.element.addEventListener("pointerover", event => {
      if (event.pointerType !== "touch" && hovered(event) >= 0) this.#choices.hover(() => this.#open(hovered(event)));
    });
    this.element.addEventListener("pointerleave", () => this.#choices.leave());
    this.element.addEventListener("click", event => {
      if (hovered(event) >= 0) this.#open(hovered(event));
    });
    this.element.addEventListener("focusin", event => {
      const index = hovered(event);
      if (index < 0) return;
      this.#move(index);
      this.#open(index);
    });
    this.element.addEventListener("focusout", event => {
      if (!this.#choices.element.contains(event.relatedTarget)) this.#choices.leave();
    });
    this.element.addEventListener("keydown", event => this.#key(event));
  }

  /** Shows a sample; `isUnderWay` puts a caret behind it. */
  show(sample, isUnderWay) {
    const { tokens } = sample;
    // Back from the end: where a token is the same, those before it are, too.
    let same = Math.min(this.#shown.length, tokens.length);
    while (same > 0 && this.#shown[same - 1].token !== tokens[same - 1]) same--;
    for (const { span } of this.#shown.splice(same)) span.remove();
    for (const token of tokens.slice(same)) {
      const span = this.#span(token);
      this.#caret.before(span);
      this.#shown.push({ token, span });
    }
    this.#caret.hidden = !isUnderWay;
    this.element.ariaBusy = String(isUnderWay);
    const at = Math.max(0, Math.min(this.#current, tokens.length - 1));
    this.#move(this.#near(at, 1) < 0 ? this.#near(at, -1) : this.#near(at, 1));
    this.element.ariaLabel = say(tokens.some(hasChoices) || isUnderWay ? "outputLabel" : "outputFixed",
      { tokens: this.#shown.length });
  }

  focus(index) { this.#shown[index]?.span.focus(); }

  #span(token) {
    const span = document.createElement("span");
    span.className = "token";
    span.textContent = token.text;
    if (token.text.includes("\n")) span.classList.add("newline");
    if (token.chosen) span.classList.add("chosen");
    const step = shade(token);
    if (step !== undefined) span.dataset.p = step;
    if (!hasChoices(token)) return span;
    span.tabIndex = -1;
    span.setAttribute("role", "button");
    span.ariaHasPopup = "dialog";
    span.ariaLabel = say("tokenLabel", { text: visible(token.text), percent: percent(probability(token)) })
      + (token.chosen ? say("tokenChosen") : "");
    return span;
  }

  /** Of a token with choices; -1 for whatever else. */
  #indexOf(target) {
    return this.#shown.findIndex(({ token, span }) => span === target && hasChoices(token));
  }

  /** The first token with choices from `index` on in a direction, 1 or -1; -1 where there is none. */
  #near(index, direction) {
    let at = index;
    while (this.#shown[at] && !hasChoices(this.#shown[at].token)) at += direction;
    return this.#shown[at] ? at : -1;
  }

  /** The one token that Tab comes to. */
  #move(index) {
    const old = this.#shown[this.#current]?.span;
    if (old?.tabIndex === 0) old.tabIndex = -1;
    this.#current = index;
    const span = this.#shown[index]?.span;
    if (span) span.tabIndex = 0;
  }

  #key(event) {
    const index = this.#indexOf(event.target);
    if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = {
      ArrowLeft: [index - 1, -1], ArrowRight: [index + 1, 1], Home: [0, 1], End: [this.#shown.length - 1, -1],
    }[event.key];
    if (to !== undefined) {
      this.#shown[this.#near(...to)]?.span.focus();
    } else if (["Enter", " ", "ArrowDown"].includes(event.key)) {
      this.#open(index);
      this.#choices.enter();
    } else if (event.key === "Escape" && this.#choices.isOpen) {
      this.#choices.close();
      event.stopPropagation();
    } else {
      return;
    }
    event.preventDefault();
  }

  #open(index) {
    const { token, span } = this.#shown[index];
    this.#choices.open(token, span, alternative => this.#choose(index, alternative));
  }
}

/** The one list of alternatives, beside the token that it belongs to. */
export class Choices {
  element;
  #span;
  #token;
  #take;
  #timer;

  constructor(element) {
    this.element = element;
    element.addEventListener("pointerenter", () => clearTimeout(this.#timer));
    element.addEventListener("pointerleave", () => this.leave());
    element.addEventListener("focusout", event => {
      if (!element.contains(event.relatedTarget)) this.leave();
    });
    element.addEventListener("keydown", event => this.#key(event));
    document.addEventListener("pointerdown", event => {
      if (this.isOpen && !element.contains(event.target) && event.target !== this.#span) this.close();
    });
    document.addEventListener("keydown", event => {
      if (event.key === "Escape" && this.isOpen) {
        this.close();
        event.stopImmediatePropagation();
      }
    });
    onLanguage(() => this.close());
  }

  get isOpen() { return !this.element.hidden; }

  /** Opens after a moment, so that a pointer may pass. */
  hover(open) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(open, this.isOpen ? 60 : 150);
  }

  /** Closes after a moment, so that a pointer may come over; not while it is focused. */
  leave() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const focused = document.activeElement;
      if (!this.element.contains(focused) && focused !== this.#span) this.close();
    }, 250);
  }

  close() {
    clearTimeout(this.#timer);
    this.element.hidden = true;
    this.#span?.classList.remove("open");
    this.#token = undefined;
  }

  open(token, span, take) {
    clearTimeout(this.#timer);
    this.#take = take;
    if (this.isOpen && this.#token === token) return;
    this.#span?.classList.remove("open");
    [this.#token, this.#span] = [token, span];
    span.classList.add("open");
    this.#fill(token);
    this.element.hidden = false;
    this.#place();
  }

  /** Moves the focus into the list. */
  enter() {
    (this.element.querySelector("button:not([aria-current])") ?? this.element.querySelector("button"))?.focus();
  }

  #fill(token) {
    const entries = token.top.some(entry => entry.text === token.text) || token.logprob === undefined
      ? token.top : [...token.top, token];
    const head = document.createElement("p");
    head.className = "hint";
    head.textContent = say("choicesHint");
    const list = document.createElement("ul");
    list.append(...entries.map(entry => this.#entry(entry, token)));
    this.element.ariaLabel = say("choicesLabel", { text: visible(token.text) });
    this.element.replaceChildren(list, head);
  }

  #entry(entry, token) {
    const isCurrent = entry.text === token.text;
    const p = probability(entry);
    const button = document.createElement("button");
    button.type = "button";
    const [word, bar, number] = ["b", "i", "span"].map(name => document.createElement(name));
    word.textContent = visible(entry.text);
    if (visible(entry.text) !== entry.text) word.className = "named";
    bar.style.setProperty("--share", `${Math.max(1, 100 * p)}%`);
    number.textContent = percent(p);
    button.append(word, bar, number);
    button.ariaLabel = say("choiceLabel", { text: visible(entry.text), percent: percent(p) })
      + (isCurrent ? say("choiceCurrent") : "");
    if (isCurrent) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => {
      const take = this.#take;
      this.close();
      if (!isCurrent) take(entry);
    });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  /** Below the token or above it, inside the window. */
  #place() {
    const { element } = this;
    const rect = this.#span.getClientRects()[0] ?? this.#span.getBoundingClientRect();
    const { width, height } = element.getBoundingClientRect();
    const left = Math.max(8, Math.min(rect.left, document.documentElement.clientWidth - width - 8));
    const isBelow = rect.bottom + height + 12 < innerHeight || rect.top < height + 12;
    element.style.left = `${left + scrollX}px`;
    element.style.top = `${(isBelow ? rect.bottom + 6 : rect.top - height - 6) + scrollY}px`;
  }

  #key(event) {
    const buttons = [...this.element.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to !== undefined) {
      if (to < 0) this.#span.focus();
      buttons[to]?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      const span = this.#span;
      // Focus opens the list of a token: close it after that.
      span.focus();
      this.close();
      if (event.key === "Tab") return;
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
