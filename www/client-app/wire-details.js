// One message in detail: the decision, the difference that made it, the bytes, what each part means, and the life of
// the grant.

import { LANES, decodeBytes, ending, isSecret, mask, secretsOf } from './wire-model.js';
import { toCurl } from './wire-formats.js';
import { element } from './wire-page.js';
import { FIELDS, PARAMETERS, explain } from './wire-words.js';
import { showDifference } from './wire-difference.js';

/** Shows `item` in `root`. `options` says whether secrets are shown, and how to send a request again. */
export function showDetails(root, item, model, options) {
  const secrets = options.shows ? [] : secretsOf(item);
  const hide = (text, name) => (
    !options.shows && isSecret(name) ? ending(text) : mask(text, secrets, ending));
  const title = item.kind === 'event' ? item.words : `${item.method} ${item.path}`;
  const way = item.from === item.to ? LANES[item.from] : `${LANES[item.from]} → ${LANES[item.to]}`;
  const parts = [element('h2', { tabindex: '-1' }, title), element('p', { class: 'wire-way' }, way)];
  if (item.kind === 'event') {
    parts.push(element('p', {}, 'Only the browser sees this. The client app\'s script reports it to this page.'));
  } else {
    parts.push(...exchangeParts(item, model, options, hide));
  }
  root.replaceChildren(...parts);
}

function exchangeParts(item, model, options, hide) {
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
  parts.push(
    element('h3', {}, 'The request'),
    table('Parameters of the query', requestParts.query, PARAMETERS, hide),
    table('Parameters of the content', requestParts.parameters, PARAMETERS, hide),
    table('Fields of the request', requestParts.fields, FIELDS, hide, true),
    bytes('Exact bytes of the request', item.request, item.request_bytes, hide),
    element('h3', {}, item.status ? 'The answer' : 'There was no answer'),
    table('Parameters of the redirect', answerParts.location, PARAMETERS, hide),
    table('Members of the content', answerParts.parameters, PARAMETERS, hide),
    table('Fields of the answer', answerParts.fields, FIELDS, hide, true),
    bytes('Exact bytes of the answer', item.answer, item.answer_bytes, hide),
    actions(item, options, hide),
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
      element('dt', {}, 'Held by'), element('dd', {}, element('code', {}, test))));
}

/** A table of names, values and meanings, folded where `isFolded`; null if it would be empty. */
function table(title, rows, words, hide, isFolded = false) {
  if (rows.length === 0) return null;
  const list = element('dl', { class: 'wire-meanings' });
  for (const { name, value } of rows) {
    const [meaning, section] = explain(words, words === FIELDS ? name.toLowerCase() : name);
    const shown = value && hide(value, words === PARAMETERS ? name : '');
    list.append(
      element('dt', {}, element('code', {}, name)),
      element('dd', {}, element('code', { class: 'wire-value' }, shown || '(empty)'),
        element('span', {}, ` ${meaning} `), element('span', { class: 'wire-section' }, section)));
  }
  return element('details', { open: !isFolded }, element('summary', {}, `${title} (${rows.length})`), list);
}

/** The bytes as they were. Line ends are shown, and bytes that are no text as numbers. */
function bytes(title, text, length, hide) {
  if (!text) return null;
  let decoded = text;
  try {
    decoded = new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(text, (byte) => byte.charCodeAt(0)));
  } catch {
    // Not UTF-8: each byte stands for itself.
  }
  const shown = hide(decoded).replaceAll('\r\n', '\\r\\n\n')
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
  // As long as it is shown, it is told again: time goes on, and other requests come.
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

function actions(item, options, hide) {
  const said = element('p', { role: 'status', class: 'wire-said' });
  const copy = element('button', { type: 'button', class: 'wire-small' }, 'Copy as curl');
  copy.addEventListener('click', async () => {
    const whole = toCurl(item);
    const text = hide(whole);
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = text === whole
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
    const edit = element('button', { type: 'button', class: 'wire-small', 'aria-expanded': 'false' },
      'Edit and send again');
    const editor = sender(item, options, said);
    edit.addEventListener('click', () => {
      editor.hidden = !editor.hidden;
      edit.setAttribute('aria-expanded', String(!editor.hidden));
      if (!editor.hidden) editor.querySelector('textarea').focus();
    });
    row.append(edit);
    parts.splice(1, 0, editor);
  }
  return element('div', {}, ...parts);
}

function sender(item, options, said) {
  const text = element('textarea', { rows: '10', spellcheck: 'false', 'aria-label': 'The request to send' });
  text.value = decodeBytes(item.request).replaceAll('\r\n', '\n');
  const send = element('button', { type: 'button', class: 'wire-small' }, 'Send');
  send.addEventListener('click', async () => {
    said.textContent = 'Sending…';
    said.textContent = await options.send(item.server, toRequest(text.value));
  });
  return element('div', { class: 'wire-editor', hidden: true },
    element('p', {}, 'Change anything; Content-Length is set for you. The whole request is here, with its secrets.'),
    text, send);
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
