// The client app's side of the flow: popup → code → access token → secret answer.

import { openPopup, PopupError } from './popup.js';
import { report } from './report.js';

const { clientApp, authorizationServer, issuer, clientId, redirectUri } = document.body.dataset;

const main = document.querySelector('main');
const button = document.querySelector('#start');
const status = document.querySelector('#status');
const answer = document.querySelector('#answer');
const steps = document.querySelectorAll('.steps li');

/** An error with a message for the user. */
class Failure extends Error {}

/** The user declined: a choice, not an error. */
class Declined extends Error {}

// Only a page of the redirect URI's own origin can read the popup's address, and to a
// browser localhost and 127.0.0.1 are different origins. So move to the right one.
if (location.origin !== new URL(clientApp).origin) {
  location.replace(clientApp + location.pathname + location.search);
} else {
  button.addEventListener('click', onClick);
}

// The flow -------------------------------------------------------------------

let popup;

function onClick() {
  switch (main.dataset.state) {
    case 'waiting': return popup.focus();
    case 'exchanging': return;
    default: return run();
  }
}

async function run() {
  let current = 0;
  answer.hidden = true;
  steps.forEach((_, step) => mark(step, 'todo'));

  try {
    mark(0, 'doing');
    show('waiting', 'Waiting for you to authorize the app in the popup…', 'Show the popup');
    const { code, verifier } = await getCode();
    mark(0, 'done', `code ${shorten(code)}`);

    mark(current = 1, 'doing');
    show('exchanging', 'Exchanging the code for an access token…', 'One moment…');
    const token = await getToken(code, verifier);
    mark(1, 'done', `token ${shorten(token)}`);

    mark(current = 2, 'doing');
    show('exchanging', 'Requesting the secret answer…', 'One moment…');
    const secret = await getAnswer(token);
    mark(2, 'done', `answer ${secret}`);

    answer.textContent = `The secret answer is ${secret}`;
    answer.hidden = false;
    show('done', 'Done: three requests, one answer.', 'Start again');
  } catch (error) {
    if (error instanceof Declined) {
      mark(current, 'declined');
      show('declined', error.message, 'Ask again');
      return;
    }
    mark(current, 'failed');
    const words = error instanceof Failure ? error.message : `Something unexpected happened (${error}).`;
    show('failed', words, 'Try again');
  }
}

/** Step 1: the user authorizes the app in the popup, which returns with a code. */
async function getCode() {
  if (!crypto.subtle) {
    throw new Failure('The browser allows cryptography only on pages from localhost or over https. Open this page '
      + 'at localhost.');
  }
  // A response with this `state` belongs to this request. Redeeming the code takes the
  // verifier, of which only a digest appears in the popup's address.
  const state = randomText();
  const verifier = randomText();
  const request = digest(verifier).then((challenge) => new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: 'answer',
    state,
    code_challenge: challenge,
    code_challenge_method: 'S256',
  }));

  // The browser allows a popup only as part of the click: no `await` before this.
  report('browser window', 'popup', 'the script opens the popup');
  popup = openPopup(request.then((query) => `${authorizationServer}/oauth-dialog.html?${query}`), redirectUri);

  let query;
  try {
    query = await popup.query;
    report('popup', 'client app', `the script reads the address: ${[...query.keys()].join(', ')}`);
  } catch (error) {
    if (!(error instanceof PopupError)) throw error;
    report('popup', 'browser window', `the popup was ${error.reason}`, true);
    if (error.reason === 'blocked') {
      throw new Failure('The browser blocked the popup. Allow popups for this page, then try again.');
    }
    throw new Declined('You closed the popup, so the app was not authorized. If the popup could not load its page, '
      + `check that the authorization server is running at ${authorizationServer}.`);
  }

  // Refuse a response to another request, or from another server.
  const isOurs = query.get('state') === state && query.get('iss') === issuer;
  report('client app', 'client app', `the script compares state and iss: ${isOurs ? 'they match' : 'no match'}`, !isOurs);
  if (query.get('state') !== state) throw new Failure('The popup returned with a response to another request.');
  if (query.get('iss') !== issuer) throw new Failure('The popup returned from another authorization server.');

  const error = query.get('error');
  if (error === 'access_denied') throw new Declined('You did not authorize the app. It gets no access.');
  if (error) {
    const description = query.get('error_description');
    throw new Failure(`The authorization server refused: ${error}${description ? ` (${description})` : ''}.`);
  }

  const code = query.get('code');
  if (!code) throw new Failure('The popup returned without a code.');
  return { code, verifier };
}

/** 256 random bits in characters that need no escaping in a URL. */
function randomText() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** The SHA-256 digest of `text`: the S256 challenge of a verifier (RFC 7636, 4.2). */
async function digest(text) {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Step 2: exchange the code, which works once, for an access token. */
async function getToken(code, verifier) {
  const reply = await request('/token', {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: clientId,
      redirect_uri: redirectUri,
      code,
      code_verifier: verifier,
    }),
  });
  const token = reply?.access_token;
  // Only printable ASCII can travel in the header of the next step.
  if (typeof token !== 'string' || !/^[!-~]+$/.test(token)) {
    throw new Failure('POST /token was answered without a usable access_token.');
  }
  return token;
}

/** Step 3: the access token opens the protected resource. */
async function getAnswer(token) {
  const reply = await request('/secure', { headers: { Authorization: `Bearer ${token}` } });
  if (typeof reply?.answer !== 'number') {
    throw new Failure('The response to GET /secure has no answer in it.');
  }
  return reply.answer;
}

/** Sends a request to the authorization server. Returns its JSON, or throws a Failure that says what to check. */
async function request(path, options) {
  const what = `${options.method ?? 'GET'} ${path}`;

  let response, text;
  try {
    response = await fetch(authorizationServer + path, {
      ...options,
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.timeout(10_000),
    });
    text = await response.text();
  } catch {
    throw new Failure(`${what} got no response. Is the authorization server running at ${authorizationServer}, `
      + `and does it allow requests from ${clientApp}?`);
  }

  let reply;
  try {
    reply = JSON.parse(text);
  } catch {
    // Not JSON: `reply` stays undefined.
  }

  if (!response.ok) {
    const reason = reply?.error_description ?? reply?.message ?? reply?.error;
    throw new Failure(`${what} was refused with status ${response.status}${reason ? `: ${reason}` : '.'}`);
  }
  if (reply === undefined) throw new Failure(`The response to ${what} is not JSON.`);
  return reply;
}

// The page -------------------------------------------------------------------

function show(state, words, label) {
  main.dataset.state = state;
  status.textContent = words;
  button.textContent = label;
  button.setAttribute('aria-disabled', state === 'exchanging');
  // On a small screen the outcome may be below the edge.
  (answer.hidden ? status : answer).scrollIntoView({ block: 'nearest' });
}

function mark(step, state, got = '') {
  steps[step].dataset.step = state;
  steps[step].querySelector('.got').textContent = got && `→ ${got}`;
}

/** Enough of a secret to recognise it, too little to use it. (Credentials of one grant share their beginning.) */
function shorten(secret) {
  return secret.length >= 16 ? `…${secret.slice(-4)}` : '…';
}
