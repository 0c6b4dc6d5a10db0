// What the model wrote: texts of tokens, each with what else could have stood there. Knows nothing of the page.

/** The token that ends a text, as the server writes it. */
const END = "</s>";

/**
 * A piece of the stream with the alternatives in order. They come as an object from token to log-probability, with ids
 * in the same order; JavaScript moves keys like "12" to the front and joins equal keys. So the keys before a number are
 * numbered while this is still text.
 */
export function parsePiece(text) {
  const piece = JSON.parse(text);
  if (!piece.choices?.some(choice => choice.logprobs?.top_logprobs)) return piece;
  let number = 0;
  const marked = text.replace(/"((?:[^"\\]|\\.)*)"(\s*:\s*-?\d)?/g,
    (whole, key, value) => value === undefined ? whole : `"${number++}=${key}"${value}`);
  JSON.parse(marked).choices.forEach((choice, index) => {
    if (!choice.logprobs?.top_logprobs) return;
    piece.choices[index].logprobs.top = choice.logprobs.top_logprobs.map(top =>
      Object.entries(top ?? {}).map(([key, logprob]) => ({ text: key.slice(key.indexOf("=") + 1), logprob })));
  });
  return piece;
}

/** One text: tokens `{text, id, logprob, top: [{text, id, logprob}], chosen}`. */
export class Sample {
  tokens = [];
  /** null while it is written; then "stop", "length", "stopped", "broken" or "chosen". */
  finish = null;
  score;
  /** What was there before each choice, to go back to. */
  past = [];
  /** Where the request under way began, and the text that came since: without what a stop string cut off. */
  #start = 0;
  #given = "";
  #hasTokens = false;

  static from(saved) {
    const sample = Object.assign(new Sample(), saved);
    sample.finish ??= "broken";
    return sample;
  }

  get text() { return this.tokens.map(token => token.text).join(""); }
  get ids() { return this.tokens.flatMap(token => token.ids ?? [token.id]); }
  get isEmpty() { return this.tokens.length === 0; }

  /** A request goes on with this text. */
  begin() {
    this.finish = null;
    this.#start = this.tokens.length;
    this.#given = "";
    this.#hasTokens = false;
  }

  /** Takes what came for it. */
  take(choice) {
    const { logprobs, token_ids: ids } = choice;
    this.#given += choice.text ?? "";
    (logprobs?.tokens ?? []).forEach((text, i) => {
      const top = (logprobs.top?.[i] ?? []).map((entry, j) => ({ ...entry, id: logprobs.top_ids?.[i]?.[j] }));
      this.tokens.push({ text, id: ids?.[i], logprob: logprobs.token_logprobs?.[i] ?? undefined, top });
    });
    this.#hasTokens ||= logprobs?.tokens?.length > 0;
    // Beams come as one text. Otherwise a text without tokens was held back: its tokens are here already.
    if (!this.#hasTokens && choice.text) this.tokens.push({ text: choice.text, ids, top: [] });
    if (choice.score !== undefined) this.score = choice.score;
    if (choice.finish_reason) this.#end(choice.finish_reason);
  }

  #end(reason) {
    this.finish = reason;
    if (this.tokens.at(-1)?.text === END) this.tokens.pop();
    const length = () => this.tokens.slice(this.#start).reduce((sum, token) => sum + token.text.length, 0);
    // A stop string takes away the tokens that hold it; what is left of the first of them stays.
    while (length() > this.#given.length && this.tokens.length > this.#start && reason === "stop") {
      const last = this.tokens.pop();
      const rest = last.text.length - (length() + last.text.length - this.#given.length);
      if (rest > 0) this.tokens.push({ ...last, text: last.text.slice(0, rest) });
    }
  }

  /** Ends here what is not at its end. */
  cut(reason) {
    this.finish ??= reason;
  }

  /**
   * Puts another token in place of one and drops what follows. `requests` is how many were made before. Whether there
   * is something to write behind it.
   */
  choose(index, alternative, requests) {
    this.past.push({ tokens: this.tokens, finish: this.finish, requests });
    this.past.splice(0, this.past.length - 20);
    const { top } = this.tokens[index];
    this.tokens = this.tokens.slice(0, index);
    if (alternative.text === END) {
      this.finish = "chosen";
      return false;
    }
    this.tokens.push({ ...alternative, top, chosen: true });
    return true;
  }

  /** Goes back to before the last choice; how many requests were made then. */
  undo() {
    const { tokens, finish, requests } = this.past.pop();
    this.tokens = tokens;
    this.finish = finish ?? "stopped";
    return requests;
  }
}

/** A text of the person and what the model made of it. */
export class Run {
  /** ids of `prompt`, once the server said them. */
  promptIds;
  seed;
  model;
  /** How many characters of `prompt` the model's vocabulary lacks; undefined for none. */
  unknown;
  /** Requests in their order, so that all can be made again. */
  requests = [];
  samples = [];
  /** The numbers of the samples that a request was made for. */
  #targets = new WeakMap();

  /** `kind`: "samples" or "beams". */
  constructor(prompt, kind) {
    this.prompt = prompt;
    this.kind = kind;
  }

  static from(saved) {
    const run = Object.assign(new Run(saved.prompt, saved.kind), saved);
    run.samples = saved.samples.map(Sample.from);
    return run;
  }

  /** Notes a request that is made for some samples. */
  ask(request, targets) {
    this.requests.push(request);
    this.#targets.set(request, targets);
  }

  /** Takes a sample's last choice back, and what was asked for behind it: the seed is that of what is left. */
  undo(index) {
    const before = this.samples[index].undo();
    this.requests = this.requests.filter((request, number) =>
      number < before || this.#targets.get(request)?.[0] !== index);
    this.seed = this.requests.at(-1)?.seed ?? this.seed;
  }

  get isUnderWay() { return this.samples.some(sample => sample.finish === null); }

  /**
   * What a request has to begin with to go on with a sample: ids where all are known, else the text. `model` is the
   * server's, where known: another model's ids mean other tokens.
   */
  beginning(sample, model = this.model) {
    const ids = sample.ids;
    const known = this.promptIds && ids.every(Number.isInteger) && model === this.model;
    return known ? [...this.promptIds, ...ids] : this.prompt + sample.text;
  }

  /** Ids of another model are no use to this one. */
  #forgetIds() {
    this.promptIds = undefined;
    for (const { tokens } of this.samples) {
      for (const token of tokens) {
        token.id = token.ids = undefined;
        for (const entry of token.top) entry.id = undefined;
      }
    }
  }

  /** Takes a piece of an answer, whose choices go to `targets`, the numbers of samples. */
  take(piece, targets, isFirst) {
    if (this.model !== undefined && (piece.model ?? this.model) !== this.model) this.#forgetIds();
    this.model = piece.model ?? this.model;
    const request = this.requests.at(-1);
    const seed = piece.seed ?? piece.choices[0]?.seed;
    if (seed !== undefined) this.seed = request.seed = seed;
    // Behind what is there already the server's prompt is more than this one.
    const isWhole = isFirst && this.samples.every(sample => sample.isEmpty);
    for (const choice of piece.choices) {
      if (isWhole) this.promptIds ??= choice.prompt_token_ids ?? piece.prompt_token_ids ?? undefined;
      const target = targets[choice.index];
      if (target !== undefined) this.samples[target].take(choice);
    }
  }

  /** All there is to know, for a file. */
  get report() {
    return {
      program: "leafcutter", model: this.model, prompt: this.prompt, prompt_token_ids: this.promptIds, seed: this.seed,
      requests: this.requests,
      choices: this.samples.map((sample, index) => ({
        index, text: sample.text, ids: sample.ids, finish_reason: sample.finish, score: sample.score,
        tokens: sample.tokens,
      })),
    };
  }
}
