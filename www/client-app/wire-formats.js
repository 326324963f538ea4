// The timeline as files: our own JSON, HAR, a Mermaid sequence diagram, and one request as a curl command.

import {
  LANES, ITEMS_MAX, contentOf, decodeBytes, field, isText, lanesOf, maskMessage, maskRequest, readExchange, secretsOf,
  shortened,
} from './wire-model.js';

// Split, since no page has an address written in.
const HTTP = ['http:', '', ''].join('/');

const FORMAT = 'oauth-from-scratch wire';

/** The timeline as JSON text. Without `keepsSecrets` every secret in it is shortened. */
export function toJson(model, keepsSecrets) {
  const exchanges = model.items.filter((item) => item.kind === 'exchange').map((item) => exported(item, keepsSecrets));
  const events = model.items.filter((item) => item.kind === 'event')
    .map(({ at, words, from, to, isFailure }) => ({ at, words, from: LANES[from], to: LANES[to], fails: isFailure }));
  const secrets = keepsSecrets ? 'kept' : 'shortened';
  return JSON.stringify({ format: FORMAT, version: 1, secrets, config: model.config, exchanges, events }, null, 1);
}

/** The members of an exchange that the server sent. */
function exported(item, keepsSecrets) {
  const { id, server, connection, peer, began_ms, took_us, request_bytes, answer_bytes, client, decisions,
    redirect_uris } = item;
  const secrets = keepsSecrets ? [] : secretsOf(item);
  const request = keepsSecrets ? item.request : maskRequest(item, secrets, shortened);
  const answer = maskMessage(item.answer, secrets, shortened);
  return { id, server, connection, peer, began_ms, took_us, request, request_bytes, answer, answer_bytes, client,
    decisions, redirect_uris };
}

const EXCHANGE = {
  id: 'number', server: 'string', connection: 'number', peer: 'string', began_ms: 'number', took_us: 'number',
  request: 'string', answer: 'string',
};

const DECISION = { rule: 'string', says: 'string', section: 'string', file: 'string', line: 'number', code: 'string',
  test: 'string', refuses: 'boolean', reason: 'string' };

/** Reads the text of a file that `toJson` made. Throws an Error that says what is wrong with it. */
export function fromJson(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error('The file is not JSON.');
  }
  if (file?.format !== FORMAT) throw new Error('The file is not an export of a wire view.');
  if (file.version !== 1) throw new Error(`The file has version ${file.version}; this page reads version 1.`);
  if (!Array.isArray(file.exchanges) || !Array.isArray(file.events)) {
    throw new Error('The file has no list of exchanges or of events.');
  }
  if (file.exchanges.length + file.events.length > ITEMS_MAX) {
    throw new Error(`The file has more than ${ITEMS_MAX} exchanges and events.`);
  }
  const exchanges = file.exchanges.map((exchange, index) => {
    const wrong = wrongMember(exchange, EXCHANGE);
    if (wrong) throw new Error(`Exchange ${index + 1} has no valid "${wrong}".`);
    const decisions = Array.isArray(exchange.decisions) ? exchange.decisions : [];
    if (decisions.some((decision) => wrongMember(decision, DECISION))) {
      throw new Error(`Exchange ${index + 1} has a decision that cannot be read.`);
    }
    if (!isTime(exchange.began_ms)) throw new Error(`Exchange ${index + 1} has no valid "began_ms".`);
    const uris = Array.isArray(exchange.redirect_uris) ? exchange.redirect_uris : [];
    return { ...exchange, decisions, redirect_uris: uris.filter((uri) => typeof uri === 'string') };
  });
  const events = file.events.filter((event) => event !== null && typeof event === 'object');
  const wrong = events.find(({ at }) => !isTime(at));
  if (wrong) throw new Error(`Event ${file.events.indexOf(wrong) + 1} has no valid "at".`);
  const config = file.config !== null && typeof file.config === 'object' ? file.config : {};
  return { exchanges, events, config };
}

const isTime = (value) => typeof value === 'number' && Number.isFinite(new Date(value).getTime());

function wrongMember(value, types) {
  if (value === null || typeof value !== 'object') return 'members';
  return Object.keys(types).find((name) => typeof value[name] !== types[name]);
}

/** The content of a message as text. */
const textOf = (message) => decodeBytes(contentOf(message));

/** The address that a request with this Host and target asks for. A target may have the whole of it. */
const urlOf = (host, target) => (target.startsWith('/') ? `${HTTP}${host}${target}` : target);

/** The timeline as HAR 1.2, which browsers' developer tools read. */
export function toHar(model, keepsSecrets) {
  const entries = model.items.filter((item) => item.kind === 'exchange').map((item) => {
    const masked = readExchange(exported(item, keepsSecrets));
    const { requestParts: sent, answerParts: got, began_ms: began, took_us: took, decisions, target } = masked;
    const host = field(sent, 'host') ?? '';
    const headers = (message) => message.fields.map(({ name, value }) => ({ name, value }));
    const sizes = (message) => ({ headersSize: -1, bodySize: message.content.length });
    const type = field(sent, 'content-type') ?? '';
    return {
      startedDateTime: new Date(began).toISOString(),
      time: took / 1000,
      connection: String(item.connection),
      comment: decisions.map(({ rule, section }) => `${rule} (${section})`).join('; then '),
      request: {
        method: item.method, url: urlOf(host, target), httpVersion: 'HTTP/1.1', cookies: [],
        headers: headers(sent), queryString: sent.query,
        ...(sent.content && { postData: { mimeType: type, text: textOf(sent) } }), ...sizes(sent),
      },
      response: {
        status: item.status, statusText: item.reason, httpVersion: 'HTTP/1.1', cookies: [], headers: headers(got),
        content: { size: contentOf(got).length, mimeType: field(got, 'content-type') ?? '', text: textOf(got) },
        redirectURL: field(got, 'location') ?? '', ...sizes(got),
      },
      cache: {},
      timings: { send: 0, wait: took / 1000, receive: 0 },
    };
  });
  const creator = { name: 'oauth-from-scratch', version: '1' };
  return JSON.stringify({ log: { version: '1.2', creator, entries } }, null, 1);
}

/** The timeline as a Mermaid sequence diagram. Paths have no query in it, so it has no secret either. */
export function toMermaid(items, config) {
  const names = ['B', 'P', 'C', 'A', 'R', 'X'];
  const plain = (text) => text.replace(/[;#\n\r:]/g, ' ');
  const lines = [
    'sequenceDiagram', ...lanesOf(config).map((lane, index) => `  participant ${names[index]} as ${lane}`),
  ];
  for (const item of items) {
    const [from, to] = [names[item.from], names[item.to]];
    if (item.kind === 'event') {
      lines.push(from === to ? `  Note over ${from}: ${plain(item.words)}` : `  ${from}->>${to}: ${plain(item.words)}`);
      continue;
    }
    lines.push(`  ${from}->>${to}: ${plain(item.method)} ${plain(item.path)}`);
    const rule = item.decisions.at(-1)?.rule;
    const answer = item.status ? `${item.status} ${plain(item.reason)}` : 'no answer';
    lines.push(`  ${to}${item.isFailure ? '--x' : '-->>'}${from}: ${answer}${rule ? `, ${plain(rule)}` : ''}`);
  }
  return `${lines.join('\n')}\n`;
}

/** One request as a curl command for a POSIX shell, with its secrets or without; null if it is malformed or has
    bytes that a command line cannot hold. */
export function toCurl(item, keepsSecrets) {
  const quote = (text) => `'${text.replaceAll('\'', '\'\\\'\'')}'`;
  const { requestParts, method, target } = readExchange(exported(item, keepsSecrets));
  if (requestParts.first === '') return null;
  const content = contentOf(requestParts);
  const host = field(requestParts, 'host') ?? 'localhost';
  const own = ['host', 'content-length', 'connection', 'accept-encoding', 'transfer-encoding'];
  // A HEAD has no content to wait for. What looks like a pattern in the URL is none.
  const parts = ['curl -ig', method === 'HEAD' ? '--head' : `-X ${quote(method)}`];
  // curl removes a field with nothing after its colon; with a semicolon it sends an empty one.
  requestParts.fields.filter(({ name }) => !own.includes(name.toLowerCase()))
    .forEach(({ name, value }) => parts.push(`-H ${quote(value === '' ? `${name};` : `${name}: ${value}`)}`));
  // Raw: an @ at its beginning names no file. A type that the request does not have is not made up.
  if (content) parts.push(`--data-raw ${quote(content)}`);
  if (content && !field(requestParts, 'content-type')) parts.push("-H 'Content-Type:'");
  parts.push(quote(urlOf(host, target)));
  const command = parts.join(' \\\n  ');
  return isText(command) && !command.includes('\0') ? decodeBytes(command) : null;
}
