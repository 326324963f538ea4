// What the wire view knows: exchanges as the server exports them, taken apart, and the life of each grant.
// Nothing here touches the page.

/** The lanes of the drawing, from left to right. The last is there only where an attack lab runs. */
export const LANES = [
  'browser window', 'popup', 'client app', 'authorization server', 'protected resource', 'attacker',
];
const [BROWSER, POPUP, CLIENT, SERVER, RESOURCE, ATTACKER] = LANES.keys();

/** What the paths of protected resources end in: the article's, and the MCP server. */
const RESOURCES = ['/secure', '/mcp'];

/** The lanes of a server, as its `hello` describes it. */
export const lanesOf = (config) => (config.lab ? LANES : LANES.slice(0, ATTACKER));

/** How many exchanges and events a page keeps. */
export const ITEMS_MAX = 500;

/** How many codes and tokens of one grant a page keeps: a client may refresh for as long as it likes. */
const CREDENTIALS_MAX = 50;

/** How the names of parameters end whose values are secrets, in any case, perhaps with an index: `code_0`. The same as
    in src/wire/trace.rs. */
const SECRETS = /(?:code|verifier|token|secret|password|assertion|request)[^a-z]*$/i;

/** Whether the value of a parameter or field with this name is a secret. A part of the name is enough: `code[0]`,
    `login[password]`. */
export const isSecret = (name) => name.split(/[[\]]/).some((part) => SECRETS.test(part));

/** How often a text may be escaped: a redirect within a redirect is escaped twice. */
const ESCAPED_MAX = 3;

/** Whether the value of this parameter is a secret, or has one in it: `next=%2Fcb%3Fcode%3Dx`. What is escaped too
    often to be read may have one. */
export function holdsSecret(pair) {
  let text = pair;
  for (let times = 0; times <= ESCAPED_MAX; times += 1) {
    const decoded = text.replace(/%[0-9a-f]{2}/gi, (escape) => String.fromCharCode(parseInt(escape.slice(1), 16)));
    if (decoded === text) return text.split('=').slice(0, -1).some(isSecret);
    text = decoded;
  }
  return true;
}

/** Whether this field carries credentials. */
export const isAuthorization = (name) => /^(?:proxy-)?authorization$/i.test(name);

/** Shorter secrets occur anywhere by chance, so they are hidden only after their name. */
const SECRET_LENGTH_MIN = 8;

/** Grants are named by the first 20 characters of each of their credentials. An export may have shortened the rest. */
const CREDENTIAL = /^([A-Za-z0-9_-]{20})(?:[A-Za-z0-9_-]{44}|\.{3,}.{4})$/;

/** A message taken apart: its first line, its fields, its content. The lines of a folded field are joined, and a space
    before a colon is left out (RFC 9112, 5.1 and 5.2). */
export function parseMessage(text) {
  const start = /^(?:\r\n)*/.exec(text)[0].length;
  const end = text.indexOf('\r\n\r\n', start);
  const head = end < 0 ? text.slice(start) : text.slice(start, end);
  const [first, ...lines] = unfolded(head).split('\r\n');
  const fields = lines.filter(Boolean).map((line) => {
    const at = line.indexOf(':');
    return at < 0 ? { name: line, value: '' } : { name: line.slice(0, at).trim(), value: line.slice(at + 1).trim() };
  });
  return { first, fields, content: end < 0 ? '' : text.slice(end + 4) };
}

const unfolded = (text) => text.replace(/\r?\n[ \t]+/g, ' ');

/** A request taken apart, unless its first line is malformed: it may be the end of a content that was longer than its
    Content-Length. The path ends where a parameter may begin, since it is shown as it is. */
function parseRequest(text) {
  const parts = parseMessage(text);
  const [, method, target] = /^([A-Z-]+) (.*) HTTP\/\d(?:\.\d)?$/.exec(parts.first) ?? [];
  if (method === undefined) return { first: '', fields: [], content: '', method: '?', target: '', path: '(malformed)' };
  return { ...parts, method, target, path: target.split(/[?#&=]|%(?:25)*(?:26|3d|3f)/i, 1)[0] };
}

/** The value of the first field called `name`, in lower case. */
export function field(message, name) {
  return message.fields.find((found) => found.name.toLowerCase() === name)?.value;
}

/** Text whose characters are bytes, as the UTF-8 that they are. */
export function decodeBytes(text) {
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** Whether such bytes are UTF-8. */
export function isText(text) {
  return encodeBytes(decodeBytes(text)) === text;
}

/** Text as its UTF-8, each byte as one character. */
export function encodeBytes(text) {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join('');
}

/** The parameters of a form or query, in order. */
export function parseForm(text) {
  return [...new URLSearchParams(text)].map(([name, value]) => ({ name, value }));
}

/** The members of a JSON object that are text or numbers; null if it is none. */
export function parseJson(text) {
  try {
    const value = JSON.parse(decodeBytes(text));
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return null;
    return Object.entries(value).map(([name, member]) => (
      { name, value: typeof member === 'string' ? member : JSON.stringify(member) }));
  } catch {
    return null;
  }
}

export const isChunked = (message) => (field(message, 'transfer-encoding') ?? '').toLowerCase() === 'chunked';

/** The chunks in the content of a message (RFC 9112, 7.1), each as the line before it, its data, and the line end
    after it; and what comes after the last of them. */
function chunksOf(content) {
  const chunks = [];
  let rest = content;
  for (;;) {
    const [line, digits] = /^([0-9a-f]+)[^\r\n]*\r\n/i.exec(rest) ?? [];
    const length = parseInt(digits, 16);
    if (!length) return { chunks, rest };
    const end = line.length + length;
    chunks.push({ line, data: rest.slice(line.length, end), lineEnd: rest.slice(end, end + 2) });
    rest = rest.slice(end + 2);
  }
}

/** The content of a message, without its chunks if it has some. */
export function contentOf(message) {
  if (!isChunked(message)) return message.content;
  return chunksOf(message.content).chunks.map(({ data }) => data).join('');
}

/** The parameters in the content of a message. */
function contentParameters(message) {
  const type = (field(message, 'content-type') ?? '').split(';')[0].trim().toLowerCase();
  if (type === 'application/x-www-form-urlencoded') return parseForm(contentOf(message));
  // A script that sends JSON without a type sends it as text.
  if (type === 'application/json' || type === 'text/plain') return parseJson(contentOf(message)) ?? [];
  return [];
}

/** An exchange, taken apart. `exchange` is one of the server's export; `lab` is the origin of the attack lab, if there
    is one. */
export function readExchange(exchange, lab) {
  const { method, target, path, ...request } = parseRequest(exchange.request);
  const answer = parseMessage(exchange.answer);
  const query = splitAt(target, '?')[1] ?? '';
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer.first)?.[1] ?? 0);
  const reason = answer.first.split(' ').slice(2).join(' ');
  const location = field(answer, 'location');
  const item = {
    ...exchange,
    kind: 'exchange',
    key: `x${exchange.id}`,
    at: exchange.began_ms,
    requestParts: { ...request, query: parseForm(query), parameters: contentParameters(request) },
    answerParts: {
      ...answer,
      location: location === undefined ? [] : parseForm(splitAt(location, '?')[1] ?? ''),
      parameters: contentParameters(answer),
    },
    method, target, path, status, reason,
    refusal: exchange.decisions.findLast((decision) => decision.refuses),
  };
  item.isFailure = Boolean(item.refusal) || status === 0 || status >= 400;
  // The attacker's ads are the theft itself.
  const isAd = item.server === 'lab' && path.startsWith('/ad.');
  item.isPart = /\.(?:js|css|svg|png|ico)$/.test(path) && !isAd;
  [item.from, item.to] = lanes(item, lab);
  return item;
}

function splitAt(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Between which lanes a request goes, as far as its fields tell. */
function lanes(item, lab) {
  const value = (name) => field(item.requestParts, name);
  const sender = labLane(value('origin'), lab) ?? labLane(value('referer'), lab);
  if (item.server === 'lab') return lanesOfLab(item, sender);
  const is = (...ends) => ends.some((end) => item.path.endsWith(end));
  const to = item.server === 'client-app' ? CLIENT : is(...RESOURCES) ? RESOURCE : SERVER;
  const isDialog = is('/authorize', '/oauth-dialog.html', '/code', '/oauth-callback.html', '/dialog.js');
  const dest = value('sec-fetch-dest');
  if (dest === undefined) {
    // A program, which is a client. What it gets from the client app, it gets as a browser would.
    return [to === CLIENT ? BROWSER : sender ?? CLIENT, to];
  }
  // Scripts and forms of the attacker's page, and frames in it, which no other page has.
  const isSent = dest === 'empty' || item.method === 'POST';
  if ((isSent && sender === ATTACKER) || (lab && dest === 'iframe')) return [ATTACKER, to];
  if (dest === 'empty' && to !== CLIENT) return [CLIENT, to];
  const referrer = splitAt(value('referer') ?? '', '?')[0];
  const isOfDialog = isDialog || /\/(?:authorize|oauth-dialog\.html|code|oauth-callback\.html)$/.test(referrer);
  return [isOfDialog || to === SERVER ? POPUP : BROWSER, to];
}

/** The same for a request to the lab: to the attacker's site, or to the victim's shop, which is a client app. The door
    is a resource that the network of the authorization server protects. */
function lanesOfLab(item, sender) {
  if (item.path.startsWith('/door/')) {
    const isServer = field(item.requestParts, 'user-agent') === 'oauth-from-scratch';
    return [isServer ? SERVER : sender ?? CLIENT, RESOURCE];
  }
  const to = isShop(field(item.requestParts, 'host') ?? '') ? CLIENT : ATTACKER;
  switch (field(item.requestParts, 'sec-fetch-dest')) {
    case undefined: return [sender ?? (to === CLIENT ? BROWSER : CLIENT), to];
    case 'document': return [['/', '/index.html'].includes(item.path) ? BROWSER : POPUP, to];
    // What a page loads or a script sends is sent by the site of that page.
    default: return [sender ?? POPUP, to];
  }
}

/** The lane of the page with this address, if the lab served it. Every name but the shop's is the attacker's. */
function labLane(address, lab) {
  if (!URL.canParse(lab) || !URL.canParse(address)) return undefined;
  const { hostname, port } = new URL(address);
  if (port !== new URL(lab).port) return undefined;
  return isShop(hostname) ? CLIENT : ATTACKER;
}

const isShop = (host) => host.toLowerCase().startsWith('shop.');

/** An event that only the browser sees, reported by the client app's script. */
export function readEvent(event, number) {
  return {
    kind: 'event',
    key: `e${event.at}-${number}`,
    at: Number(event.at) || 0,
    words: String(event.words ?? '').slice(0, 300),
    from: laneOf(event.from),
    to: laneOf(event.to),
    isFailure: event.fails === true,
    isPart: false,
  };
}

const laneOf = (name) => Math.max(0, LANES.indexOf(name));

/** The members of JSON with text or a number, also where the JSON is cut or malformed: name, colon, value. */
const MEMBER = /("(?:[^"\\]|\\.){1,100}")(\s*:\s*)("(?:[^"\\]|\\.)*"?|-?\d[\d.eE+-]*)/g;

/** The fields that may have secrets, wherever a line begins: a message may be malformed. Each as what comes before its
    value, its name, and its value, which may be folded. */
const SECRET_FIELD = new RegExp('^([ \\t]*((?:proxy-)?authorization|(?:set-)?cookie|referer|location)[ \\t]*:'
  + '[ \\t]*(?:\\r?\\n[ \\t]+)*)([^\\n]*(?:\\n[ \\t][^\\n]*)*)', 'gim');

/** Everything secret in an exchange, as it is written in its bytes, the longest first: each text that hides a secret,
    and what it consists of: what comes before the secret, the secret, and what comes after it. */
export function secretsOf(item) {
  if (item.kind !== 'exchange') return [];
  const found = new Map();
  const add = (secret, before, after = '') => {
    if (secret.length >= SECRET_LENGTH_MIN) found.set(secret, ['', secret, '']);
    else if (secret !== '') found.set(`${before}${secret}${after}`, [before, secret, after]);
  };
  /** Adds a value as programs usually write it. */
  const addValue = (value, name) => {
    const escaped = encodeURIComponent(value.toWellFormed());
    [value, encodeBytes(value), escaped, escaped.replaceAll('%20', '+')].forEach((text) => add(text, `${name}=`));
    const quoted = JSON.stringify(value).slice(1, -1);
    [quoted, encodeBytes(quoted)].forEach((text) => add(text, `"${name}":"`, '"'));
  };
  /** Adds the secrets of a form, each as this form writes it and as others do. */
  const addForm = (form) => form.split('&').forEach((pair) => {
    if (!holdsSecret(pair)) return;
    const [rawName, raw] = splitAt(pair, '=');
    if (raw === undefined) return add(pair, '');
    add(raw, `${rawName}=`);
    parseForm(pair).forEach(({ name, value }) => addValue(value, name));
  });
  /** The same for JSON, at any depth. */
  const addJson = (content) => {
    for (const [, rawName, colon, literal] of content.matchAll(MEMBER)) {
      const name = parsed(rawName) ?? rawName;
      if (!isSecret(name)) continue;
      const [, quote, raw, end] = /^("?)(.*?)("?)$/s.exec(literal);
      add(raw, `${rawName}${colon}${quote}`, end);
      addValue(String(parsed(decodeBytes(literal)) ?? ''), name);
    }
  };
  const addPair = (pair) => {
    const [name, value = ''] = splitAt(pair.trim(), '=');
    addValue(value, name);
  };
  const { requestParts, answerParts } = item;
  [...requestParts.parameters, ...answerParts.parameters].filter(({ name }) => isSecret(name))
    .forEach(({ name, value }) => addValue(value, name));
  [...requestParts.fields, ...answerParts.fields].filter(({ name }) => isSecret(name))
    .forEach(({ name, value }) => [`${name}:`, `${name}: `].forEach((before) => add(value, before)));
  addForm(item.target);
  addForm(contentOf(requestParts));
  [requestParts, answerParts].forEach((message) => addJson(contentOf(message)));
  // What comes after a malformed chunk is in no chunk.
  if (isChunked(requestParts)) {
    addForm(requestParts.content.replaceAll('\r\n', '&'));
    addJson(requestParts.content);
  }
  const fields = [item.request, item.answer].flatMap((text) => [...text.matchAll(SECRET_FIELD)]);
  for (const [, before, name, folded] of fields) {
    const value = folded.trimEnd();
    switch (name.toLowerCase()) {
      case 'cookie': value.split(';').forEach(addPair); break;
      case 'set-cookie': addPair(value.split(';')[0]); break;
      case 'referer':
      case 'location': addForm(value); break;
      default: {
        const [scheme] = /^(?:(?:Bearer|Basic)\s+)?/i.exec(value);
        const secret = value.slice(scheme.length);
        [secret, unfolded(secret)].forEach((text) => add(text, scheme || before));
      }
    }
  }
  // The dialog's form carries the sealed request.
  const sealed = / name="request" value="([^"]+)"/.exec(contentOf(answerParts));
  if (sealed) addValue(sealed[1], 'request');
  return [...found].sort(([one], [other]) => other.length - one.length);
}

/** The value of a JSON literal; undefined if it is malformed. */
function parsed(literal) {
  try {
    return JSON.parse(literal);
  } catch {
    return undefined;
  }
}

/** `text` with each of `secrets` replaced by what `shorten` makes of it. */
export function mask(text, secrets, shorten) {
  return secrets.reduce((masked, [whole, [before, secret, after]]) => (
    masked.replaceAll(whole, () => `${before}${shorten(secret)}${after}`)), text);
}

/** The request of `item` without its secrets. Of one that cannot be taken apart, nothing is shown. */
export function maskRequest(item, secrets, shorten) {
  const isMalformed = item.requestParts.first === '' && item.request !== '';
  return isMalformed ? shorten('') : maskMessage(item.request, secrets, shorten);
}

/** The same for a whole message. A secret may begin in one chunk and end in another, so the chunks keep their lengths,
    and so do the secrets in them. */
export function maskMessage(text, secrets, shorten) {
  const message = parseMessage(text);
  if (!isChunked(message)) return mask(text, secrets, shorten);
  const { chunks, rest } = chunksOf(message.content);
  const masked = mask(chunks.map(({ data }) => data).join(''), secrets, padded);
  let at = 0;
  const content = chunks.map(({ line, data, lineEnd }) => {
    at += data.length;
    return `${line}${masked.slice(at - data.length, at)}${lineEnd}`;
  });
  const [head, trailers] = [text.slice(0, text.length - message.content.length), rest]
    .map((part) => mask(part, secrets, shorten));
  return `${head}${content.join('')}${trailers}`;
}

/** Enough of a secret to recognise it, too little to use it. Credentials of one grant share their beginning. */
export const ending = (secret) => (secret.length >= 16 ? `…${end(secret)}` : '…');

/** The last characters of a secret, without the rest of a character that is cut: it may be UTF-8. */
const end = (secret) => secret.slice(-4).replace(/^[\x80-\xbf\udc00-\udfff]+/, '');

/** The same for a file, in which a grant's name must survive. */
export const shortened = (secret) => {
  const last = secret.length >= 16 ? end(secret) : '';
  return CREDENTIAL.test(secret) ? `${secret.slice(0, 20)}...${last}` : `...${last}`;
};

/** The same, as long as the secret. */
const padded = (secret) => {
  const [first, last] = secret.length < 16 ? ['', ''] : shortened(secret).split('...');
  return `${first}${'.'.repeat(secret.length - first.length - last.length)}${last}`;
};

/** The grant that a credential belongs to. */
export const grantOf = (credential) => CREDENTIAL.exec(credential ?? '')?.[1];

/** All that was seen, in order, with the grants that it made. */
export class Model {
  constructor() {
    this.items = [];
    this.grants = new Map();
    this.requests = [];
    this.config = {};
    this.events = 0;
  }

  /** Adds an exchange of the export. Returns the item, and those that had to make room. */
  addExchange(exchange) {
    const item = readExchange(exchange, this.config.lab);
    this.follow(item);
    return this.add(item);
  }

  /** Adds an event of the client app's script. */
  addEvent(event) {
    this.events += 1;
    return this.add(readEvent(event, this.events));
  }

  add(item) {
    this.items.push(item);
    return { item, dropped: this.items.splice(0, Math.max(0, this.items.length - ITEMS_MAX)) };
  }

  /** Follows what an exchange means for its grant. */
  follow(item) {
    const { requestParts: { query, parameters, fields }, answerParts } = item;
    // In a file, a code or token in a chunk is as long as it was.
    const asked = Object.fromEntries([...query, ...parameters].map(({ name, value }) => (
      [name, CREDENTIAL.test(value) ? value.replace(/\.{4,}/, '...') : value])));
    const got = Object.fromEntries(answerParts.parameters.map(({ name, value }) => [name, value]));
    // The lab's endpoints make no grants, whatever they are called.
    const is = (...ends) => item.server !== 'lab' && ends.some((end) => item.path.endsWith(end));
    const rule = item.decisions.at(-1)?.rule;
    if (is('/authorize', '/oauth-dialog.html') && item.method === 'GET') {
      this.requests.push({ ...asked, id: item.id });
      this.requests.splice(0, this.requests.length - ITEMS_MAX);
    }
    item.asked = asked;
    item.client ??= asked.client_id ?? null;
    const sent = Object.fromEntries(answerParts.location.map(({ name, value }) => [name, value]));
    if (is('/code') && sent.code) {
      this.issueCode(item, sent);
    }
    const bearer = fields.find(({ name }) => name.toLowerCase() === 'authorization')?.value.replace(/^Bearer\s+/i, '');
    const presented = asked.code ?? asked.refresh_token ?? asked.token ?? bearer;
    const name = grantOf(presented) ?? grantOf(sent.code) ?? grantOf(got.access_token);
    if (!name) return;
    const grant = this.grantCalled(name, item);
    item.grant = name;
    item.client ??= grant.client;
    grant.client ??= item.client;
    if (is('/token')) this.followToken(item, grant, asked, got, rule);
    if (is('/revoke') && rule === 'token revoked') this.revoke(item, grant, asked.token);
    if (is(...RESOURCES)) {
      const token = grant.credentials.find((own) => own.value === bearer);
      if (token && item.status >= 200 && item.status < 300) token.uses = (token.uses ?? 0) + 1;
    }
  }

  grantCalled(name, item) {
    if (!this.grants.has(name)) this.grants.set(name, { name, client: item.client, credentials: [] });
    if (this.grants.size > ITEMS_MAX) this.grants.delete(this.grants.keys().next().value);
    return this.grants.get(name);
  }

  issueCode(item, sent) {
    const grant = this.grantCalled(grantOf(sent.code) ?? sent.code, item);
    const redirectUri = splitAt(field(item.answerParts, 'location'), '?')[0];
    // The form carries its request sealed, so the request is found by what comes back with the code.
    grant.request ??= this.requests.findLast((request) => sent.state !== undefined && request.state === sent.state)
      ?? this.requests.findLast((request) => request.redirect_uri === redirectUri);
    grant.client ??= grant.request?.client_id ?? null;
    item.client ??= grant.client;
    grant.redirectUri ??= redirectUri;
    if (!grant.credentials.some((own) => own.value === sent.code)) {
      const expires = this.config.code_ms ? item.at + this.config.code_ms : null;
      grant.credentials.push({ kind: 'code', value: sent.code, issued: item.at, expires, by: item.id });
    }
  }

  followToken(item, grant, asked, got, rule) {
    const ends = (words) => { grant.ended ??= { at: item.at, by: item.id, words }; };
    const presented = grant.credentials.find((own) => own.value === (asked.code ?? asked.refresh_token));
    if (item.status === 200 && got.access_token) {
      // Without rotation, the answer has the same refresh token.
      const isKept = rule === 'rotation repeated' || got.refresh_token === presented?.value;
      if (presented && !isKept) presented.spent ??= { at: item.at, by: item.id };
      this.issue(item, grant, 'access token', got.access_token, Number(got.expires_in) * 1000);
      if (got.refresh_token) {
        this.issue(item, grant, 'refresh token', got.refresh_token, this.refreshLifetime(item, grant));
      }
    }
    switch (rule) {
      case 'code replayed': return ends('the code was replayed');
      case 'refresh token reused': return ends('an old refresh token was used again');
      case 'code expired': return ends('the code expired unused');
      case 'verifier does not match':
      case 'verifier left out':
      case 'verifier without a challenge':
      case 'another redirect URI':
      case 'redirect URI left out': return ends('the code was burnt by a wrong guess');
    }
  }

  /** How long a refresh token that is issued now is valid unless it is used; null if the server has not said. */
  refreshLifetime(item, grant) {
    const { refresh_token_ms: all, refresh_token_idle_ms: idle } = this.config;
    grant.redeemed ??= item.at;
    return all && idle ? Math.min(idle, grant.redeemed + all - item.at) : null;
  }

  issue(item, grant, kind, value, lifetime) {
    const expires = lifetime ? item.at + lifetime : null;
    const known = grant.credentials.find((own) => own.value === value);
    if (known) {
      known.expires = expires;
      return;
    }
    grant.credentials.push({ kind, value, issued: item.at, expires, by: item.id });
    grant.credentials.splice(0, grant.credentials.length - CREDENTIALS_MAX);
  }

  revoke(item, grant, token) {
    const own = grant.credentials.find((credential) => credential.value === token);
    if (own?.kind === 'access token') own.revoked ??= { at: item.at, by: item.id };
    else grant.ended ??= { at: item.at, by: item.id, words: 'its refresh token was revoked' };
  }

  /** The clients that were seen. */
  clients() {
    return [...new Set(this.items.map((item) => item.client).filter(Boolean))].sort();
  }
}
