// The client app's side of the flow: popup → code → access token → secret answer. The page shows every message.

import { openPopup, PopupError } from './popup.js';
import { report } from './report.js';
import { PREPARE, DIALOG, CALLBACK, TOKEN, SECURE, REVOKE } from './steps.js';
import { advise, check, mark, pair, parameters, record, reset } from './steps.js';

const { clientApp, authorizationServer, issuer, clientId, redirectUri } = document.body.dataset;

const main = document.querySelector('main');
const button = document.querySelector('#start');
const takeBack = document.querySelector('#take-back');
const status = document.querySelector('#status');
const answer = document.querySelector('#answer');

/** An error with a message for the user, and what to do about it. */
class Failure extends Error {
  constructor(message, advice) {
    super(message);
    this.advice = advice;
  }
}

/** The user declined: a choice, not an error. */
class Declined extends Error {}

// Only a page of the redirect URI's own origin can read the popup's address, and to a
// browser localhost and 127.0.0.1 are different origins. So move to the right one.
if (location.origin !== new URL(clientApp).origin) {
  location.replace(clientApp + location.pathname + location.search);
} else {
  button.addEventListener('click', onClick);
  takeBack.addEventListener('click', () => {
    // The pressed button is hidden, so the focus moves to the one that stays.
    button.focus();
    attempt(revoke);
  });
}

// The flow -------------------------------------------------------------------

let popup;

/** The step that is being done. */
let current = PREPARE;

/** What POST /token answered. */
let tokens;

function onClick() {
  switch (main.dataset.state) {
    case 'waiting': return popup.focus();
    case 'exchanging': return;
    default: return attempt(run);
  }
}

/** Does `what`, and shows how it ends. */
async function attempt(what) {
  takeBack.hidden = true;
  try {
    await what();
    mark(current, 'done');
  } catch (error) {
    if (error instanceof Declined) {
      mark(current, 'declined');
      show('declined', error.message, 'Ask again');
      return;
    }
    const isExpected = error instanceof Failure;
    const words = isExpected ? error.message : `Something unexpected happened (${error}).`;
    const advice = isExpected ? error.advice : 'Start again. If it happens again, please report it as a bug.';
    mark(current, 'failed');
    advise(current, advice);
    takeBack.hidden = current !== REVOKE;
    show('failed', `${words} ${advice}`, 'Try again');
  }
}

/** Marks the current step as done and goes on to `step`. */
function begin(step) {
  if (step > current) mark(current, 'done');
  mark(step, 'doing');
  current = step;
}

async function run() {
  answer.hidden = true;
  reset(PREPARE);
  current = PREPARE;
  begin(PREPARE);

  show('waiting', 'Waiting for you to authorize the app in the popup…', 'Show the popup');
  const { code, verifier } = await getCode();

  begin(TOKEN);
  show('exchanging', 'Exchanging the code for an access token…', 'One moment…');
  tokens = await getTokens(code, verifier);

  begin(SECURE);
  show('exchanging', 'Requesting the secret answer…', 'One moment…');
  const secret = await getAnswer();

  answer.textContent = `The secret answer is ${secret}`;
  answer.hidden = false;
  takeBack.hidden = false;
  show('done', 'Done. Each step below shows what was sent and what came back.', 'Start again');
}

/** Steps 1 to 3: the user authorizes the app in the popup, which returns with a code. */
async function getCode() {
  if (!crypto.subtle) {
    throw new Failure('The browser allows cryptography only on pages from localhost or over https.',
      'Open this page at localhost.');
  }
  // A response with this `state` belongs to this request. Redeeming the code takes the
  // verifier, of which only a digest appears in the popup's address.
  const state = randomText();
  const verifier = randomText();
  const request = digest(verifier).then((challenge) => showRequest(verifier, new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: 'answer',
    state,
    code_challenge: challenge,
    code_challenge_method: 'S256',
  })));

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
    await request;
    if (error.reason === 'blocked') {
      throw new Failure('The browser blocked the popup.', 'Allow popups for this page, then press “Try again”.');
    }
    record(DIALOG, 'Received: nothing', [], 'The popup was closed before it returned.');
    throw new Declined('You closed the popup, so the app was not authorized. If the popup could not load its page, '
      + `check that the authorization server is running at ${authorizationServer}.`);
  }
  showCallback(query);

  // Refuse a response to another request, or from another server.
  const isOurs = query.get('state') === state && query.get('iss') === issuer;
  const result = isOurs ? 'they match' : 'no match';
  report('client app', 'client app', `the script compares state and iss: ${result}`, !isOurs);
  showChecks(query, state);
  if (query.get('state') !== state) {
    throw new Failure('The popup returned with a response to another request.',
      'Start again. The app must not use this code: somebody may have planted it, to have you use their account.');
  }
  if (query.get('iss') !== issuer) {
    throw new Failure('The popup returned from another authorization server.',
      'Start again. The app must not use this code: if it sent it to the wrong server, that server could use it.');
  }

  const error = query.get('error');
  if (error === 'access_denied') throw new Declined('You did not authorize the app. It gets no access.');
  if (error) {
    const description = query.get('error_description');
    throw new Failure(`The authorization server refused: ${error}${description ? ` (${description})` : ''}.`,
      'Compare the request in step 2 with the reason. The authorization server’s terminal has it as well.');
  }

  const code = query.get('code');
  if (!code) throw new Failure('The popup returned without a code.', 'Start again from this page.');
  return { code, verifier };
}

/** Shows the secrets of step 1 and, if there is a popup, the request of step 2. Gives the request. */
function showRequest(verifier, query) {
  record(PREPARE, 'Kept by the app', [
    pair('state', ' = ', query.get('state')),
    pair('code_verifier', ' = ', verifier),
    pair('code_challenge', ' = ', query.get('code_challenge')),
  ], 'The state and the verifier are 32 random bytes each, in base64url. The challenge is the SHA-256 digest of the '
    + 'verifier: it may be seen, since the verifier cannot be computed from it. Nothing was sent.');
  begin(DIALOG);
  if (popup.isBlocked) return query;
  const { host, pathname } = new URL(`${authorizationServer}/oauth-dialog.html`);
  record(DIALOG, 'Sent by the popup: GET /oauth-dialog.html', [
    `GET ${pathname}`, ...parameters(query, '?'), pair('Host', ': ', host),
  ], 'The app opened this address in a popup. Here each parameter has a line of its own.');
  return query;
}

/** Shows what the popup returned with, in step 3. */
function showCallback(query) {
  record(DIALOG, 'Received: the dialog', [], 'A page of another origin, so the script of this page cannot read it. '
    + 'Your decision was a form, which the popup sent to POST /code.');
  begin(CALLBACK);
  const { host, pathname } = new URL(redirectUri);
  record(CALLBACK, 'Received: GET /oauth-callback.html', [
    `GET ${pathname}`, ...parameters(query, '?'), pair('Host', ': ', host),
  ], 'The answer to POST /code was a redirect (302), and the popup followed it to this address. It is of this page’s '
    + 'own origin, so the script can read it.');
}

/** Shows how the answer compares with the request. */
function showChecks(query, state) {
  const [isState, isIssuer] = [query.get('state') === state, query.get('iss') === issuer];
  check(CALLBACK, isState, isState ? 'The state is the one that this page sent:'
    : 'The state is not the one that this page sent, which was', state);
  check(CALLBACK, isIssuer, isIssuer ? 'The issuer (iss) is the server that this page asked:'
    : 'The issuer (iss) is not the server that this page asked, which was', issuer);
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

/** Step 4: exchange the code, which works once, for an access token. */
async function getTokens(code, verifier) {
  const reply = await request('/token', {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: clientId,
      redirect_uri: redirectUri,
      code,
      code_verifier: verifier,
    }),
  }, 'The server computes the digest of code_verifier and compares it with the challenge of step 2.');
  const token = reply?.access_token;
  // Only printable ASCII can travel in the header of the next step.
  if (typeof token !== 'string' || !/^[!-~]+$/.test(token)) {
    throw new Failure('POST /token was answered without a usable access_token.',
      'Check what came back: it should be JSON with a member access_token.');
  }
  return reply;
}

/** Step 5: the access token opens the protected resource. */
async function getAnswer() {
  const reply = await request('/secure', { headers: { Authorization: `Bearer ${tokens.access_token}` } },
    'Because of the Authorization field, the browser first asks the server whether this page may send it: OPTIONS '
    + '/secure, the preflight. It remembers the answer for a while.');
  if (typeof reply?.answer !== 'number') {
    throw new Failure('The response to GET /secure has no answer in it.',
      'Check what came back: it should be JSON with a number called answer.');
  }
  return reply.answer;
}

/** Step 6: revoke the tokens, and see that they open nothing. */
async function revoke() {
  reset(REVOKE);
  begin(REVOKE);
  show('exchanging', 'Taking the access back…', 'One moment…');
  const body = new URLSearchParams({ client_id: clientId, token: tokens.refresh_token ?? tokens.access_token });
  await request('/revoke', { method: 'POST', body },
    'The refresh token came with the access token in step 4. Revoking it ends everything that you allowed.');
  const { response } = await send('/secure', { headers: { Authorization: `Bearer ${tokens.access_token}` } },
    'The same request as in step 5.');
  if (response.ok) {
    throw new Failure('The token still opens the answer.', 'This should not happen: please report it as a bug.');
  }
  show('done', 'Access revoked: the token no longer works. The app still has what it has already read.',
    'Start again');
}

/** Sends a request to the authorization server. Returns its JSON, or throws a Failure that says what to check. */
async function request(path, options, remark) {
  const what = `${options.method ?? 'GET'} ${path}`;
  const { response, text } = await send(path, options, remark);
  const reply = parse(text);
  if (!response.ok) {
    const reason = reply?.error_description ?? reply?.message ?? reply?.error;
    throw new Failure(`${what} was refused with status ${response.status}${reason ? `: ${reason}.` : '.'}`,
      'Start again: a code works once, and for a short time. The terminal of the server has the exact reason.');
  }
  if (reply === undefined) {
    throw new Failure(`The response to ${what} is not JSON.`, `Check what answers at ${authorizationServer}.`);
  }
  return reply;
}

/** Sends a request, and shows it and its response in the current step. */
async function send(path, { method = 'GET', headers = {}, body }, remark) {
  const what = `${method} ${path}`;
  const { host, pathname } = new URL(authorizationServer + path);
  record(current, `Sent by this page: ${what}`, [
    `${method} ${pathname}`,
    pair('Host', ': ', host),
    pair('Origin', ': ', location.origin),
    ...Object.entries(headers).map(([name, value]) => pair(name, ': ', value)),
    ...(body ? [pair('Content-Type', ': ', 'application/x-www-form-urlencoded;charset=UTF-8'), ' '] : []),
    ...(body ? parameters(body) : []),
  ], remark);
  try {
    const response = await fetch(authorizationServer + path, {
      method,
      headers,
      body,
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    showResponse(response, text);
    return { response, text };
  } catch {
    record(current, 'Received: nothing', [], 'The browser got no response that it lets this page read.');
    throw new Failure(`${what} got no response.`, 'Check that the authorization server is running at '
      + `${authorizationServer}, and allows requests from ${clientApp}. Then start again.`);
  }
}

function showResponse(response, text) {
  const reply = parse(text);
  const content = reply === undefined ? text : JSON.stringify(reply, null, 2);
  const members = content.split('\n').map((line) => {
    const [, indent, name, separator, value] = /^( +)"(\w+)"(: )(.*)$/.exec(line) ?? [];
    if (name === undefined) return line;
    const member = pair(name, separator, value);
    member.prepend(indent);
    return member;
  });
  const line = `${response.status} ${response.statusText}`.trim();
  record(current, `Received: ${line}`, [
    line, ...[...response.headers].map(([name, value]) => pair(name, ': ', value)), ' ', ...members,
  ], 'Of the fields, only those that the server and the browser let this page read.');
}

/** The JSON in `text`, or undefined. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
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
