// Talks to the server: one place for the key, for errors and for streams.
import { recall, remember } from "./keep.js";

const KEY = "leafcutter.key";
/** Kept until the tab is closed, or until the page is left where nothing can be stored. */
let key = recall("sessionStorage", KEY);

/** What the server refused, or what broke on the way. `status` is 0 where no answer came. */
export class Trouble extends Error {
  /**
   * `after`: seconds after which the server suggests to ask again; `code`: its word for the reason; `param`: the field
   * that it does not take.
   */
  constructor(status, message, { after, code, param } = {}) {
    super(message);
    Object.assign(this, { status, after, code, param });
  }
}

/** A body that broke off while it was read, or that no server of ours has sent, is the end of a connection. */
export const troubleOf = error =>
  ["TypeError", "SyntaxError"].includes(error.name) ? new Trouble(0, "cutShort") : error;

export function setKey(given) {
  key = given;
  remember("sessionStorage", KEY, key);
}

export const hasKey = () => key !== null;

/** Of a text that may hold any characters, what a header can: its bytes in UTF-8, each as a character. */
const asHeader = text => String.fromCharCode(...new TextEncoder().encode(text));

/** The answer to a request; throws `Trouble` for whatever is not 2xx, and an AbortError when stopped. */
export async function ask(path, { body, signal } = {}) {
  const headers = {};
  if (key !== null) headers.Authorization = `Bearer ${asHeader(key)}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method: body === undefined ? "GET" : "POST", headers, signal, cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Trouble(0, error.message);
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  let error = {};
  try {
    error = (await answer.json()).error ?? error;
  } catch { /* No sentence came with it. */ }
  return troubleIn(error, answer.status, { message: answer.statusText, after: numberIn(answer, "Retry-After") });
}

/** What an error of the server's says; `message` where it has none. */
export const troubleIn = ({ message, code, param }, status, { message: other = "", after } = {}) =>
  new Trouble(status, String(message ?? other), { after, code, param });

/** A whole number among the headers of an answer; undefined where there is none. */
function numberIn(answer, header) {
  const number = Number.parseInt(answer.headers.get(header) ?? "", 10);
  return Number.isNaN(number) ? undefined : number;
}

/** How many characters of what was sent the model's vocabulary lacks; undefined where it has all. */
export const unknownIn = answer => numberIn(answer, "X-Leafcutter-Unknown");

/** Whether an answer is a stream of events. */
export const isStream = answer => (answer.headers.get("Content-Type") ?? "").startsWith("text/event-stream");

/** The events of a stream as `{event, data}`, comments as `{comment}`, in order. EventSource cannot send a key. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let [rest, event, data] = ["", "message", []];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const raw of lines) {
        const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
        if (line === "") {
          if (data.length) yield { event, data: data.join("\n") };
          [event, data] = ["message", []];
        } else if (line.startsWith(":")) {
          yield { comment: line.slice(1).trim() };
        } else {
          const [, field, content] = line.match(/^([^:]*):? ?(.*)$/);
          if (field === "data") data.push(content);
          if (field === "event") event = content;
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
