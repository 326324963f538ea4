// The client app: a button, a dialog, a code, a token, the answer.

import { NoAnswer, openDialog } from "./popup.js";

const { clientApp, authorizationServer, redirectUri } = document.body.dataset;
const main = document.querySelector("main");
const start = document.getElementById("start");

// The popup's return is readable on one origin only, the redirect URI's. 127.0.0.1 and localhost are the same
// machine and two origins, so whoever came by another name is led to that one.
if (location.origin === clientApp) {
  start.addEventListener("click", run);
} else {
  location.replace(clientApp + location.pathname + location.search);
}

/** A failure that the page can put into words. */
class Failure extends Error {}

/** The whole flow, one step after the other; a failure ends it and is shown where it happened. */
async function run() {
  reset();
  let step;
  const begin = (name, state, words) => {
    if (step) mark(step, "done");
    step = name;
    mark(step, "now");
    say(state, words);
  };
  try {
    begin("step-authorize", "waiting", "Waiting for your decision in the dialog…");
    const code = await authorize();
    begin("step-token", "exchanging", "Trading the code for an access token…");
    const token = await requestToken(code);
    begin("step-secure", "exchanging", "Asking for the answer…");
    const answer = await requestAnswer(token);
    mark(step, "done");
    say("done", "Done.");
    document.getElementById("answer").textContent = `The secret answer is ${answer}`;
  } catch (error) {
    if (!(error instanceof Failure)) console.error(error);
    mark(step, "failed");
    say("failed", error instanceof Failure ? error.message : "Something in this page went wrong; its console says what.");
  } finally {
    start.disabled = false;
    start.textContent = "Try again";
  }
}

/** Step 1: the dialog, and the code that it comes back with. */
async function authorize() {
  let query;
  try {
    query = await openDialog(`${authorizationServer}/oauth-dialog.html`, redirectUri);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    throw new Failure(
      error.reason === "blocked"
        ? "The browser blocked the dialog. Allow popups for this page and try again."
        : "The dialog was closed before you decided.",
    );
  }
  if (query.get("error") === "access_denied") throw new Failure("You did not authorize the app.");
  if (query.has("error")) {
    const details = [query.get("error"), query.get("error_description")].filter(Boolean).join(": ");
    throw new Failure(`The authorization server refused (${details}).`);
  }
  const code = query.get("code");
  if (!code) throw new Failure("The dialog came back without a code.");
  return code;
}

/** Step 2: the code for an access token. The JSON makes the browser ask first: a preflight. */
async function requestToken(code) {
  const answer = await request("the access token", "/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code }),
  });
  if (typeof answer.access_token !== "string") throw new Failure("The answer to the code holds no access token.");
  return answer.access_token;
}

/** Step 3: the answer for the token. */
async function requestAnswer(token) {
  const answer = await request("the answer", "/secure", { headers: { authorization: token } });
  if (answer.answer === undefined) throw new Failure("The secure endpoint's answer holds no answer.");
  return answer.answer;
}

/** Sends a request to the authorization server and gives the JSON of its answer. */
async function request(what, path, options) {
  let response;
  try {
    response = await fetch(authorizationServer + path, { ...options, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Failure(`The request for ${what} did not reach ${authorizationServer}. Is the server running?`);
  }
  let json;
  try {
    json = await response.json();
  } catch {
    throw new Failure(`The request for ${what} was answered with ${response.status}, and not in JSON.`);
  }
  if (!response.ok) throw new Failure(`The request for ${what} was refused: ${json?.message ?? response.status}.`);
  return json ?? {};
}

function reset() {
  start.disabled = true;
  document.getElementById("answer").textContent = "";
  for (const step of document.querySelectorAll(".steps li")) {
    step.className = "";
    step.removeAttribute("aria-current");
  }
}

function mark(id, state) {
  const step = document.getElementById(id);
  step.className = state;
  step.toggleAttribute("aria-current", state === "now");
}

function say(state, words) {
  main.dataset.state = state;
  document.getElementById("status").textContent = words;
}
