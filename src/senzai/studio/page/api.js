// The server, asked in words. Errors are problem+json and become `Problem`s that are shown as they are.

export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
  }
}

async function answered(response) {
  if (response.ok) return response;
  let body = {};
  try {
    body = await response.json();
  } catch {
    /* the server is gone, or says nothing */
  }
  throw new Problem(response.status, body.title ?? "Error", body.detail ?? response.statusText);
}

async function ask(method, path, body, options = {}) {
  const init = { method, headers: {}, signal: options.signal };
  if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  try {
    return await answered(await fetch(`api${path}`, init));
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "");
  }
}

export const get = async (path, options) => (await ask("GET", path, undefined, options)).json();
export const post = async (path, body = {}, options) => (await ask("POST", path, body, options)).json();
export const remove = async (path) => (await ask("DELETE", path)).json();
export const bytes = async (path) => (await ask("GET", path)).arrayBuffer();

/** Ask until the work is done; `onpart` is told how far it is, 0 to 1. */
export async function getWhenDone(path, onpart, signal) {
  for (;;) {
    const response = await ask("GET", path, undefined, { signal });
    const body = await response.json();
    if (response.status !== 202) return body;
    onpart?.(body.part);
    await new Promise((done) => setTimeout(done, 150));
    if (signal?.aborted) throw new DOMException("aborted", "AbortError");
  }
}

/** Send a file; `onpart` is told how far it is. */
export function upload(path, file, onpart) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `api${path}`);
    request.upload.onprogress = (e) => e.lengthComputable && onpart?.(e.loaded / e.total);
    request.onload = () => {
      const body = (() => { try { return JSON.parse(request.responseText); } catch { return {}; } })();
      if (request.status < 300) done(body);
      else fail(new Problem(request.status, body.title ?? "Error", body.detail ?? ""));
    };
    request.onerror = () => fail(new Problem(0, "unreachable", ""));
    request.send(file);
  });
}

/** A path made of parts that may hold any character. */
export const path = (...parts) => parts.map((p) => `/${encodeURIComponent(p)}`).join("");

/** Fetch a file to keep. */
export function keep(file) {
  const link = Object.assign(document.createElement("a"), { href: `exports/${encodeURIComponent(file)}`, download: file });
  link.click();
}

/** Call with the latest arguments only, one call at a time, so that no earlier answer is drawn over a later one. */
export function latest(work) {
  let busy = false, waiting = null;
  return async function call(...args) {
    waiting = args;
    if (busy) return;
    busy = true;
    while (waiting) {
      const now = waiting;
      waiting = null;
      try {
        await work(...now);
      } catch (error) {
        if (error.name !== "AbortError") console.warn(error.message);
      }
    }
    busy = false;
  };
}
