// The server's HTTP API: requests with the key, errors with their meaning, and
// server-sent events.

import { key } from "./prefs.js";

// ApiError is a refusal: status 0 means that the server was not reached.
export class ApiError extends Error {
  constructor(message, status, code = "", param = "") {
    super(message);
    Object.assign(this, { status, code, param });
  }
}

export async function api(path, { body, signal } = {}) {
  const headers = {};
  if (key()) headers.Authorization = "Bearer " + key();
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (err) {
    if (err.name === "AbortError") throw err;
    throw new ApiError("The server cannot be reached. Is it still running?", 0);
  }
  if (answer.ok) return answer;
  let error = {};
  try {
    error = (await answer.json()).error ?? {};
  } catch { /* not JSON: the status says it */ }
  throw new ApiError(error.message ?? `The server answered ${answer.status} ${answer.statusText}`, answer.status, error.code, error.param);
}

export const getJSON = async (path, signal) => (await api(path, { signal })).json();

// events yields the JSON of each server-sent event up to [DONE]. An event may
// come in pieces, and a piece may end within a character.
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await read(reader);
    if (done) throw new ApiError("The connection was cut before the answer was complete.", 0, "cut");
    buffer += value;
    let from = 0;
    for (let end; (end = buffer.indexOf("\n\n", from)) >= 0; from = end + 2) {
      const line = buffer.slice(from, end);
      if (!line.startsWith("data: ")) continue; // a comment that keeps the connection open
      if (line === "data: [DONE]") return;
      const data = JSON.parse(line.slice(6));
      if (data.error) throw new ApiError(data.error.message, 0, data.error.code);
      yield data;
    }
    buffer = buffer.slice(from);
  }
}

async function read(reader) {
  try {
    return await reader.read();
  } catch (err) {
    if (err.name === "AbortError") throw err;
    throw new ApiError("The connection was cut before the answer was complete.", 0, "cut");
  }
}

// models lists what is served: the full description where the server has it,
// else the names that any OpenAI-compatible server gives.
export async function models(signal) {
  try {
    const { models, memory } = await getJSON("/api/models", signal);
    return Object.assign(models, { memory });
  } catch (err) {
    if (err.status !== 404) throw err;
  }
  const { data } = await getJSON("/v1/models", signal);
  return data.map((m) => ({ id: m.id, context: m.max_model_len, brief: true }));
}

export const runs = async (signal) => (await getJSON("/api/runs", signal)).runs;
export const records = (id, from, points, signal) => getJSON(`/api/runs/${id.split("/").map(encodeURIComponent).join("/")}?from=${from}&points=${points}`, signal);

// overlong reads both counts out of a refusal for length: tokens needed, and
// the limit. Null for any other error.
export function overlong(err) {
  if (err.code !== "context_length_exceeded") return null;
  const limit = /maximum context length is (\d+)/.exec(err.message);
  const needed = /you requested (\d+) tokens/.exec(err.message) ?? /prompt has (\d+) tokens/.exec(err.message);
  const prompt = /(\d+) in the prompt/.exec(err.message);
  if (!limit || !needed) return null;
  return { limit: Number(limit[1]), needed: Number(needed[1]), prompt: Number((prompt ?? needed)[1]) };
}
