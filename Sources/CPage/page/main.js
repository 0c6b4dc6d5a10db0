// The page: buttons and keys to requests, answers to the sheet.
import { TokenCount } from "./count.js";
import { copy, download, load, store } from "./keep.js";
import { Notices } from "./notices.js";
import { Run, Sample, parsePiece } from "./run.js";
import { Trouble, ask, events, isStream, troubleIn, troubleOf, unknownIn } from "./server.js";
import { Settings } from "./settings.js";
import { Sheet, hasBlank } from "./sheet.js";
import { SweepStrip, seconds } from "./sweep.js";
import { Switches } from "./switches.js";
import { Voice } from "./voice.js";
import { onLanguage, say } from "./words.js";

const byId = id => document.getElementById(id);
/** For whoever does not know how to begin. */
const BEGINNINGS = ["《静夜思》李白\n", "今天天气不错，", "床前<blank:1>月光"];

class Page {
  #strip = new SweepStrip();
  #voice = new Voice(byId("spoken"));
  #count = new TokenCount(byId("count"));
  #notices = new Notices(() => this.#tryAgain(), () => this.#keyGiven());
  #switches;
  #sheet;
  #settings;
  /** What is shown: a `Run`, or filled blanks `{prompt, text, blanks}`. */
  #run;
  /** Of the request under way: its AbortController, and where it stands. */
  #busy;
  #phase;
  #ended;
  /** Does again what the server refused. */
  #attempt;
  /** Whether it was refused for want of a key. */
  #wantsKey = false;
  /** Seconds to the next token, as the stream's last comment said. */
  #heard;
  /** Texts in the queue, as long as the one under way waits there; undefined until its stream has said a word. */
  #queued;
  /** How many texts the request under way has. */
  #texts = 0;
  #storing;

  constructor() {
    const kept = load();
    this.#switches = new Switches(kept, () => this.#storeSoon());
    this.#sheet = new Sheet({
      changed: () => this.#textChanged(),
      choose: (sample, token, alternative) => this.#choose(sample, token, alternative),
      keep: sample => this.#keep(sample),
      copy: text => this.#copy(text, "copied"),
      restore: () => {
        this.#sheet.text = this.#run.prompt;
        this.#textChanged();
      },
    });
    this.#settings = new Settings(byId("settings"), () => this.#settingsChanged());
    this.#settings.take(kept.settings);
    this.#takeLink();
    this.#sheet.text = kept.text ?? "";
    if (kept.run) this.#restore(kept.run);
    this.#wire();
    this.#followStrip();
    onLanguage(() => this.#showAll());
    this.#switches.begin();
    this.#countSoon();
  }

  #wire() {
    const actions = {
      go: () => this.#go(), again: () => this.#begin(), undo: () => this.#undo(), keep: () => this.#keep(0),
      blank: () => this.#blank(),
      copy: () => this.#copy(this.#everything(), "copied"),
      link: () => this.#copy(location.origin + location.pathname + this.#settings.hash, "linkCopied"),
      "save-text": () => download("leafcutter.txt", "text/plain;charset=utf-8", this.#everything()),
      "save-json": () => download("leafcutter.json", "application/json", this.#report()),
      "use-seed": () => this.#settings.take({ seed: String(this.#run.seed) }),
      reset: () => this.#settings.reset(),
    };
    for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
    byId("beginnings").append(...BEGINNINGS.map(text => {
      const button = document.createElement("button");
      button.type = "button";
      button.lang = "zh";
      button.textContent = text.trimEnd();
      button.addEventListener("click", () => this.#sheet.insert(text));
      return button;
    }));
    document.addEventListener("keydown", event => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        if (!this.#busy) this.#go();
      } else if (event.key === "Escape" && this.#busy) {
        this.#stop();
      }
    });
    window.addEventListener("hashchange", () => this.#takeLink());
    window.addEventListener("pagehide", () => this.#store());
    // Small windows show the text first.
    byId("settings-box").open = matchMedia("(min-width: 62rem)").matches;
  }

  #followStrip() {
    const on = (name, action) => this.#strip.addEventListener(name, action);
    on("key", () => this.#notices.wantKey());
    on("back", () => {
      this.#notices.reached();
      this.#voice.say(say("serverBack"));
    });
    on("sweep", () => this.#showStatus());
    on("model", () => this.#showCount());
    this.#strip.yours = () => this.#isQueued ? 0 : this.#texts;
    this.#strip.follow();
  }

  /** Settings that a link brought; the address is clean again, so that a reload keeps later changes. */
  #takeLink() {
    if (this.#settings.takeHash(location.hash)) history.replaceState(null, "", location.pathname);
  }

  #restore(kept) {
    const wasUnderWay = kept.samples?.some(sample => sample.finish === null);
    this.#run = kept.samples ? Run.from(kept) : kept;
    if (wasUnderWay) this.#ended = () => say("reloaded", { tokens: this.#tokenCount() });
    else if (kept.samples) this.#endedBy(this.#run);
  }

  // What a person does

  #go() {
    if (this.#busy) this.#stop();
    else if (hasBlank(this.#sheet.text)) this.#fill();
    else if (this.#canExtend) this.#extend(0);
    else this.#begin();
  }

  #stop() { this.#busy?.abort(); }

  /** The text as it is from its end, in as many versions as are wanted. */
  #begin() {
    const prompt = this.#sheet.text;
    if (hasBlank(prompt)) return this.#fill();
    if (prompt.trim() === "") return this.#notices.refuse("noText");
    const request = this.#settings.request;
    const before = this.#run;
    this.#attempt = () => this.#begin();
    const run = new Run(prompt, request.beams ? "beams" : "samples");
    run.samples = Array.from({ length: request.n ?? 1 }, () => new Sample());
    this.#run = run;
    return this.#send(run, { ...request, prompt }, run.samples.map((_, index) => index), () => { this.#run = before; });
  }

  /** Goes on behind what the model wrote. */
  #extend(index) {
    this.#attempt = () => this.#extend(index);
    const run = this.#run;
    const sample = run.samples[index];
    const { finish } = sample;
    const request = { ...this.#settings.request, n: 1, prompt: run.beginning(sample, this.#strip.model?.name) };
    return this.#send(run, request, [index], () => { sample.finish = finish; });
  }

  /** Puts another token in the place of one and goes on from there. */
  async #choose(index, token, alternative) {
    const run = this.#run;
    const sample = run.samples[index];
    this.#stop();
    await this.#busy?.done;
    this.#attempt = () => this.#choose(index, token, alternative);
    const goesOn = sample.choose(token, alternative, run.requests.length);
    this.#show();
    if (goesOn) {
      const request = { ...this.#settings.request, n: 1, prompt: run.beginning(sample, this.#strip.model?.name) };
      // The focus stays on what was chosen.
      this.#sheet.focusToken(index, token);
      this.#sheet.closeChoices();
      await this.#send(run, request, [index], () => run.undo(index));
    } else {
      this.#endedBy(run, index);
      this.#show();
      this.#storeSoon();
    }
  }

  #undo() {
    const index = this.#run?.samples?.findLastIndex(sample => sample.past.length > 0) ?? -1;
    if (index < 0 || this.#busy) return;
    this.#run.undo(index);
    this.#endedBy(this.#run);
    this.#show();
    this.#storeSoon();
  }

  /** Makes what was written part of the person's text. */
  #keep(index) {
    this.#stop();
    const run = this.#run;
    const { length } = this.#sheet.text;
    if (run.blanks) this.#sheet.insert(run.text, 0, length);
    else this.#sheet.insert(run.samples[index].text, length, length);
    this.#run = undefined;
    this.#ended = undefined;
    this.#sheet.focusEnd();
    this.#textChanged();
  }

  #blank() {
    const size = byId("blank-size").value;
    const { selection } = this.#sheet;
    if (selection === "" && size === "") return this.#notices.refuse("noBlank");
    this.#sheet.insert(size === "" ? "<blank>" : `<blank:${size}>`);
  }

  async #fill() {
    const text = this.#sheet.text;
    this.#attempt = () => this.#fill();
    await this.#work("filling", [], async signal => {
      const answer = await ask("v1/fill", { body: { text }, signal });
      let filled;
      try {
        filled = await answer.json();
      } catch (error) {
        throw error.name === "AbortError" ? error : new Trouble(0, "cutFill");
      }
      this.#run = { prompt: text, ...filled, unknown: unknownIn(answer) };
      this.#ended = () => say("filled", { blanks: filled.blanks.length });
      this.#voice.say(`${filled.text} ${this.#ended()}`, true);
    });
  }

  // Requests

  /** Asks for more of some samples of a run. `takeBack` undoes what was prepared when the server refuses. */
  async #send(run, fields, targets, takeBack) {
    const body = { ...fields, stream: true, return_token_ids: true };
    for (const index of targets) run.samples[index].begin();
    run.ask(body, targets);
    let hasBegun = false;
    await this.#work(body.beams ? "searching" : "waiting", targets, async signal => {
      try {
        const answer = await ask("v1/completions", { body, signal });
        await this.#receive(run, answer, targets, () => { hasBegun = true; });
      } catch (thrown) {
        const error = troubleOf(thrown);
        if (!hasBegun && error instanceof Trouble) {
          run.requests.pop();
          takeBack();
          // Nothing of this text came, so nothing of it is kept.
          throw error.status === 0 ? new Trouble(0, "unreachable") : error;
        }
        // Something came: what is left is to go on behind it.
        this.#attempt = () => this.#go();
        for (const index of targets) run.samples[index].cut(error.name === "AbortError" ? "stopped" : "broken");
        this.#endedBy(run, targets[0]);
        throw error;
      }
      this.#endedBy(run, targets[0]);
    });
  }

  async #receive(run, answer, targets, began) {
    let isFirst = true;
    // Where a request went on behind ids, nothing is said of the text before them.
    run.unknown = unknownIn(answer) ?? run.unknown;
    const take = piece => {
      run.take(piece, targets, isFirst);
      this.#queued = 0;
      if (isFirst) began();
      isFirst = false;
      if (targets.length === 1) this.#voice.say(piece.choices.map(choice => choice.text).join(""));
      if (run.samples.some(sample => !sample.isEmpty)) this.#phase = "writing";
      this.#show();
      this.#storeSoon();
    };
    if (!isStream(answer)) {
      take(parsePiece(await answer.text()));
      return;
    }
    for await (const { event, data, comment } of events(answer)) {
      if (comment !== undefined) this.#heardAlive(comment);
      else if (data === "[DONE]") return;
      else if (event === "error") throw troubleIn(JSON.parse(data).error, -1);
      else take(parsePiece(data));
    }
    throw new Trouble(0, "cutShort");
  }

  /** Runs one request at a time, and says what went wrong. */
  async #work(phase, targets, request) {
    if (this.#busy) return;
    const controller = new AbortController();
    this.#busy = controller;
    this.#phase = phase;
    this.#wantsKey = false;
    const ended = this.#ended;
    this.#ended = this.#queued = this.#heard = undefined;
    this.#texts = Math.max(1, targets.length);
    this.#notices.clear();
    this.#voice.say(say(phase), true);
    let finished;
    controller.done = new Promise(resolve => { finished = resolve; });
    this.#show();
    try {
      await request(controller.signal);
    } catch (thrown) {
      const error = troubleOf(thrown);
      this.#wantsKey = error.status === 401;
      if (error instanceof Trouble) this.#notices.explain(error, this.#tokenCount());
      else if (error.name !== "AbortError") throw error;
    } finally {
      this.#busy = undefined;
      this.#texts = 0;
      if (this.#ended) this.#voice.say(` ${this.#ended()}`, true);
      // What was refused leaves things as they were.
      else this.#ended = ended;
      finished();
      this.#show();
      this.#storeSoon();
    }
  }

  /** A comment of the stream; of use where the events are not there. */
  #heardAlive(comment) {
    const wait = comment.match(/next token in ([\d.]+) s/);
    this.#heard = wait ? Number(wait[1]) : undefined;
    this.#queued = Number(comment.match(/(\d+) in the queue/)?.[1] ?? 0);
    this.#showStatus();
  }

  /** Says how a sample ended; the first of many speaks for all. */
  #endedBy(run, index = 0) {
    this.#ended = () => {
      const last = run.samples[index];
      return say("ended", { finish: last.finish ?? "stopped", tokens: this.#tokenCount(), seed: run.seed });
    };
  }

  #tokenCount() {
    return this.#run?.samples?.reduce((sum, sample) => sum + sample.tokens.length, 0) ?? 0;
  }

  #tryAgain() {
    this.#strip.retry();
    if (!this.#busy) this.#attempt?.();
  }

  #keyGiven() {
    if (this.#wantsKey) return this.#tryAgain();
    this.#strip.retry();
    byId("text").focus();
    this.#countSoon();
  }

  // What is shown

  get #isStale() { return this.#run !== undefined && this.#run.prompt !== this.#sheet.text; }

  get #canExtend() {
    const run = this.#run;
    return run?.kind === "samples" && run.samples.length === 1 && !this.#isStale && !run.samples[0].isEmpty;
  }

  #textChanged() {
    this.#show();
    this.#storeSoon();
    this.#countSoon();
  }

  #showAll() {
    const size = byId("blank-size");
    const chosen = size.value;
    size.replaceChildren(new Option(say("blankAuto"), ""),
      ...Array.from({ length: 8 }, (_, i) => new Option(say("blankTokens", { n: i + 1 }), i + 1)));
    size.value = chosen;
    this.#show();
    this.#showCount();
  }

  #show() {
    const run = this.#run;
    const isBusy = this.#busy !== undefined;
    this.#sheet.show(run, !isBusy && this.#isStale);
    const isSettled = run !== undefined && !isBusy && !this.#isStale;
    byId("go").textContent = say(isBusy ? "stop" : hasBlank(this.#sheet.text) ? "fill" : "go");
    byId("go").classList.toggle("stop", isBusy);
    // Where there are many versions, to continue the text is another try.
    byId("again").hidden = !isSettled || !this.#canExtend;
    byId("beginnings").hidden = isBusy || this.#sheet.text !== "";
    byId("undo").hidden = !isSettled || !run.samples?.some(sample => sample.past.length > 0);
    byId("keep").hidden = !isSettled || !(run.blanks || this.#canExtend);
    byId("blank").disabled = byId("blank-size").disabled = isBusy;
    byId("text").readOnly = isBusy;
    byId("use-seed").hidden = !isSettled || run.seed === undefined || this.#settings.values.seed === String(run.seed);
    const unknown = this.#isStale ? undefined : run?.unknown;
    byId("unknown").hidden = unknown === undefined;
    byId("unknown").textContent = unknown === undefined ? "" : say("unknown", { count: unknown });
    byId("scale").hidden = !run?.samples?.some(sample => sample.tokens.some(token => token.logprob !== undefined));
    this.#showStatus();
  }

  #showStatus() {
    byId("status").textContent = this.#busy ? this.#progress() : this.#isStale ? "" : this.#ended?.() ?? "";
  }

  /** Whether the request waits for a place among those under way, or may wait where its stream has not said yet. */
  get #isQueued() {
    if (this.#phase !== "waiting" && this.#phase !== "searching") return false;
    const queued = this.#strip.last?.queued;
    return queued !== 0 && (this.#queued ?? queued ?? 0) > 0;
  }

  #progress() {
    const { last } = this.#strip;
    if (this.#isQueued) return say("queued", { queued: this.#queued ?? last.queued });
    const isRead = this.#phase === "waiting" && last?.running && last.texts > 0;
    const parts = [say(isRead ? "prompting" : this.#phase, { tokens: this.#tokenCount() })];
    const left = last ? last.seconds_left : this.#heard;
    const isSlow = (last?.sweep_seconds ?? 1) >= 1;
    if (left !== null && left !== undefined && isSlow && this.#phase !== "searching") {
      parts.push(say("waitNext", { seconds: seconds(left) }));
    }
    return parts.join(" ");
  }

  #countSoon() { this.#count.askSoon(this.#sheet.text, () => this.#showCount()); }

  #showCount() {
    const model = this.#strip.model;
    // The soft prompt takes its places of the context, too.
    const room = model && model.context - (model.prompt_length ?? 0);
    this.#count.show(room, this.#settings.values.max_tokens);
  }

  // What leaves the page

  /** The text with what was written behind it; versions one after the other. */
  #everything() {
    const run = this.#isStale ? undefined : this.#run;
    if (!run) return this.#sheet.text;
    if (run.blanks) return run.text;
    return run.samples.map(sample => run.prompt + sample.text).join("\n\n———\n\n");
  }

  #report() {
    const run = this.#isStale ? undefined : this.#run;
    const facts = run?.samples ? run.report : { program: "leafcutter", ...(run ?? { prompt: this.#sheet.text }) };
    return JSON.stringify({ ...facts, settings: this.#settings.values, made: new Date().toISOString() }, null, 2);
  }

  async #copy(text, word) {
    const message = await copy(text) ? say(word) : say("notCopied", { text });
    byId("status").textContent = message;
    this.#voice.say(message, true);
  }

  /** Also while settings are built from what was kept. */
  #settingsChanged() {
    if (!this.#settings) return;
    this.#show();
    this.#showCount();
    this.#storeSoon();
  }

  #storeSoon() { this.#storing ??= setTimeout(() => this.#store(), 500); }

  #store() {
    clearTimeout(this.#storing);
    this.#storing = undefined;
    const run = this.#run;
    store({
      ...this.#switches.chosen, text: this.#sheet.text, settings: this.#settings.values,
      run: run && { ...run, samples: run.samples?.map(sample => ({ ...sample, past: [] })) },
    });
  }
}

new Page();
