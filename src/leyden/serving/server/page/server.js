/** Requests to the server that sent this page. */

const TOP = 5; // most probable classes to ask for

let key = ""; // not stored: the password manager of the browser may do so

/** An error answer of the server, or status 0 if there is none. */
class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Send this key with all further requests. */
export function useKey(value) {
  key = value;
}

/** Return the description of the network. */
export function fetchModel() {
  return request("v1/model");
}

/** Predict one row, an object as the `row` of the description says. */
export function predictRow(row) {
  const body = JSON.stringify({ inputs: [row], top: TOP });
  return request("v1/predict", { body, headers: { "Content-Type": "application/json" } });
}

/** Predict all rows of a file. */
export async function predictFile(file) {
  await file
    .slice(0, 1)
    .arrayBuffer()
    .catch(() => {
      throw new Error("The browser cannot read this file. Folders cannot be given.");
    });
  const body = new FormData();
  body.append("top", TOP);
  body.append("file", file);
  return request("v1/predict", { body });
}

async function request(path, { body, headers } = {}) {
  const sent = new Headers(headers);
  if (key) sent.set("Authorization", `Bearer ${key}`);
  const method = body ? "POST" : "GET";
  const response = await fetch(path, { method, body, headers: sent }).catch(() => {
    throw new ServerError("The server cannot be reached.", 0);
  });
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const status = `The server answered ${response.status} ${response.statusText}`.trim();
  throw new ServerError(answer?.error?.message ?? `${status}.`, response.status);
}
