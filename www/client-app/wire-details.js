// One message in detail: the decision, the difference that made it, the bytes, what each part means, and the life of
// the grant.

import {
  LANES, contentOf, decodeBytes, encodeBytes, ending, holdsSecret, isAuthorization, isChunked, isSecret, isText, mask,
  maskMessage, maskRequest, secretsOf,
} from './wire-model.js';
import { toCurl } from './wire-formats.js';
import { element } from './wire-page.js';
import { FIELDS, PARAMETERS, explain } from './wire-words.js';
import { showDifference } from './wire-difference.js';

/** Shows `item` in `root`. `options` says whether secrets are shown, how to send a request again, and what has been
    edited. */
export function showDetails(root, item, model, options) {
  const secrets = options.shows ? [] : secretsOf(item);
  const hide = (text, name, isParameter) => {
    if (options.shows) return text;
    const masked = mask(text, secrets, ending);
    // Short credentials of an unknown scheme are found only beside their field's name.
    const isHidden = isParameter ? holdsSecret(`${name}=${text}`)
      : isSecret(name) || (isAuthorization(name) && masked === text);
    return isHidden ? ending(text) : masked;
  };
  const title = item.kind === 'event' ? item.words : `${item.method} ${item.path}`;
  const way = item.from === item.to ? LANES[item.from] : `${LANES[item.from]} → ${LANES[item.to]}`;
  const parts = [element('h2', { tabindex: '-1' }, title), element('p', { class: 'wire-way' }, way)];
  if (item.kind === 'event') {
    parts.push(element('p', {}, 'Only the browser sees this. The client app\'s script reports it to this page.'));
  } else {
    parts.push(...exchangeParts(item, model, options, hide, secrets));
  }
  root.replaceChildren(...parts);
}

/** Shows the same item with other options: what was open stays open, and what was edited stays edited. */
export function showDetailsAgain(root, item, model, options) {
  const open = [...root.querySelectorAll('details')].map((part) => part.open);
  const [editor, area] = ['.wire-editor', 'textarea'].map((css) => root.querySelector(css));
  const draft = editor ? { text: area.value, isOpen: !editor.hidden } : undefined;
  showDetails(root, item, model, { ...options, draft });
  root.querySelectorAll('details').forEach((part, index) => { part.open = open[index]; });
}

function exchangeParts(item, model, options, hide, secrets) {
  const took = `${(item.took_us / 1000).toFixed(2)} ms`;
  const facts = `Request ${item.id} on connection ${item.connection} from ${item.peer}, answered in ${took}`
    + `${item.client ? `; client ${item.client}` : ''}.`;
  const parts = [element('p', { class: 'wire-facts' }, facts)];
  parts.push(...item.decisions.map(decision));
  const difference = element('div', {});
  parts.push(difference);
  showDifference(difference, item, model, options.shows);
  parts.push(...life(item, model, options.shows));
  const { requestParts, answerParts } = item;
  const request = options.shows ? item.request : maskRequest(item, secrets, ending);
  parts.push(
    element('h3', {}, 'The request'),
    table('Parameters of the query', requestParts.query, PARAMETERS, hide),
    table('Parameters of the content', requestParts.parameters, PARAMETERS, hide),
    table('Fields of the request', requestParts.fields, FIELDS, hide, true),
    bytes('Exact bytes of the request', item.request, item.request_bytes, request),
    element('h3', {}, item.status ? 'The answer' : 'There was no answer'),
    table('Parameters of the redirect', answerParts.location, PARAMETERS, hide),
    table('Members of the content', answerParts.parameters, PARAMETERS, hide),
    table('Fields of the answer', answerParts.fields, FIELDS, hide, true),
    bytes('Exact bytes of the answer', item.answer, item.answer_bytes, maskMessage(item.answer, secrets, ending)),
    actions(item, options),
  );
  return parts.filter(Boolean);
}

function decision({ rule, says, section, file, line, code, test, refuses, reason }) {
  return element('div', { class: 'wire-decision', 'data-failure': refuses },
    element('p', {}, element('strong', {}, refuses ? `Refused: ${rule}` : `Decided: ${rule}`)),
    element('p', {}, says),
    ...(reason ? [element('p', {}, 'The log says: ', element('em', {}, reason))] : []),
    element('dl', {},
      element('dt', {}, 'Section'), element('dd', {}, section),
      element('dt', {}, 'Decided in'), element('dd', {}, element('code', {}, `${file}:${line}`), ' ',
        element('code', { class: 'wire-code' }, code)),
      element('dt', {}, 'Tested by'), element('dd', {}, element('code', {}, test))));
}

/** A table of names, values and meanings, folded where `isFolded`; null if it would be empty. */
function table(title, rows, words, hide, isFolded = false) {
  if (rows.length === 0) return null;
  const list = element('dl', { class: 'wire-meanings' });
  for (const { name, value } of rows) {
    const [meaning, section] = explain(words, words === FIELDS ? name.toLowerCase() : name);
    const shown = value && hide(value, name, words === PARAMETERS);
    list.append(
      element('dt', {}, element('code', {}, name)),
      element('dd', {}, element('code', { class: 'wire-value' }, shown || '(empty)'),
        element('span', {}, ` ${meaning} `), element('span', { class: 'wire-section' }, section)));
  }
  return element('details', { open: !isFolded }, element('summary', {}, `${title} (${rows.length})`), list);
}

/** The bytes of `text`; `masked` is the same without its secrets. Line ends are shown, and bytes that are no text as
    numbers. */
function bytes(title, text, length, masked) {
  if (!text) return null;
  // What is not UTF-8 is shown with each byte by itself. An ellipsis is no byte, but in place of a secret.
  const decode = isText(text) ? decodeBytes : (part) => part;
  const shown = masked.split('…').map(decode).join('…').replaceAll('\r\n', '\\r\\n\n')
    .replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
  const cut = length > text.length ? `, of which the first ${text.length} are kept` : '';
  return element('details', {}, element('summary', {}, `${title} (${length}${cut})`),
    element('pre', { class: 'wire-bytes', tabindex: '0' }, shown));
}

// The life of the grant ---------------------------------------------------------

function life(item, model, shows) {
  const grant = model.grants.get(item.grant);
  if (!grant || grant.credentials.length === 0) return [];
  const list = element('ul', { class: 'wire-life' });
  const rows = grant.credentials.map((credential) => {
    const name = shows ? credential.value : ending(credential.value);
    const words = element('span', {});
    list.append(element('li', {}, `${credential.kind} `, element('code', {}, name), ': ', words));
    return () => { words.textContent = became(credential, grant, Date.now()); };
  });
  const end = element('p', {});
  rows.push(() => {
    const { ended } = grant;
    end.textContent = ended ? `The grant ended with request ${ended.by}: ${ended.words}.` : 'The grant is active.';
  });
  rows.forEach((tell) => tell());
  // As long as it is shown, it is written again: time goes on, and other requests come.
  const timer = setInterval(() => {
    if (end.isConnected) rows.forEach((tell) => tell());
    else clearInterval(timer);
  }, 1000);
  return [element('h3', {}, 'Code and tokens of this grant'), list, end];
}

/** What became of a credential until `now`. */
function became(credential, grant, now) {
  const { kind, expires, spent, revoked, uses, by } = credential;
  const issued = `issued by request ${by}`;
  if (spent) return `${issued}, ${kind === 'code' ? 'redeemed' : 'rotated'} by request ${spent.by}`;
  if (revoked) return `${issued}, revoked by request ${revoked.by}`;
  if (grant.ended) return `${issued}, ended with its grant`;
  const used = uses ? `, used ${uses === 1 ? 'once' : `${uses} times`}` : '';
  if (!expires) return `${issued}${used}, valid`;
  return now >= expires ? `${issued}${used}, expired` : `${issued}${used}, valid for ${duration(expires - now)}`;
}

function duration(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes < 120) return `${minutes} min`;
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

// What can be done with it -------------------------------------------------------

function actions(item, options) {
  const said = element('p', { role: 'status', class: 'wire-said' });
  const copy = element('button', { type: 'button', class: 'wire-small' }, 'Copy as curl');
  copy.addEventListener('click', async () => {
    const text = toCurl(item, options.shows);
    if (text === null) {
      said.textContent = 'This request has bytes that a command line cannot hold.';
      return;
    }
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = text === toCurl(item, true)
        ? 'Copied.'
        : 'Copied with its secrets shortened. For a command that works, choose "Show secrets" first.';
    } catch {
      said.replaceChildren(element('pre', { class: 'wire-bytes', tabindex: '0' }, text));
    }
  });
  const row = element('div', { class: 'wire-controls' }, copy);
  const parts = [row, said];
  // What was cut or shortened cannot be sent.
  if (!options.isFile && item.request_bytes === item.request.length) {
    const text = toText(item);
    if (text === null) {
      parts.push(element('p', { class: 'wire-facts' },
        'This request cannot be edited here: a text field would change bytes of it that are not UTF-8, or line ends.'));
    } else {
      const editor = sender(item, text, options, said);
      row.append(editor.button);
      parts.splice(1, 0, editor.root);
    }
  }
  return element('div', {}, ...parts);
}

/** The editor of a request, whose text is `text` unless there is a draft, and the button that opens it. */
function sender(item, text, { draft, send }, said) {
  const area = element('textarea', { rows: '10', spellcheck: 'false', 'aria-label': 'The request to send' });
  area.value = draft?.text ?? text;
  const submit = element('button', { type: 'button', class: 'wire-small' }, 'Send');
  submit.addEventListener('click', async () => {
    said.textContent = 'Sending…';
    said.textContent = await send(item.server, toRequest(area.value));
  });
  const chunks = isChunked(item.requestParts) ? ' Its chunks are joined.' : '';
  const root = element('div', { class: 'wire-editor', hidden: !draft?.isOpen },
    element('p', {}, 'Change anything; Content-Length is set for you. The whole request is here, with its secrets.'
      + chunks), area, submit);
  const button = element('button', { type: 'button', class: 'wire-small', 'aria-expanded': String(!root.hidden) },
    'Edit and send again');
  button.addEventListener('click', () => {
    root.hidden = !root.hidden;
    button.setAttribute('aria-expanded', String(!root.hidden));
    if (!root.hidden) area.focus();
  });
  return { root, button };
}

/** A request as text to edit, a chunked one with a length in place of its chunks; null if a text field would change
    it. */
export function toText(item) {
  const { request, requestParts } = item;
  let whole = request;
  if (isChunked(requestParts)) {
    const head = request.slice(0, request.length - requestParts.content.length);
    const content = contentOf(requestParts);
    whole = head.replace(/^transfer-encoding[ \t]*:.*$/im, `Content-Length: ${content.length}`) + content;
  }
  const text = decodeBytes(whole).replaceAll('\r\n', '\n');
  // The length is set, whatever it was.
  const withoutLength = (bytes) => bytes.replace(/^content-length:.*$/gim, '');
  const isKept = !text.includes('\r') && withoutLength(encodeBytes(toRequest(text))) === withoutLength(whole);
  return isKept ? text : null;
}

/** Edited text as a request: with the line ends of HTTP, and the length that the content has now. */
export function toRequest(text) {
  const at = text.indexOf('\n\n');
  const [head, content] = at < 0 ? [text.trimEnd(), ''] : [text.slice(0, at), text.slice(at + 2)];
  const length = new TextEncoder().encode(content).length;
  const lines = head.split('\n').map((line) => (
    /^content-length:/i.test(line) ? `${line.slice(0, line.indexOf(':'))}: ${length}` : line));
  return `${lines.join('\r\n')}\r\n\r\n${content}`;
}
