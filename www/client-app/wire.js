// The wire view: follows the server's events, and shows them as a list, as a drawing, and in detail.

import { Model, lanesOf } from './wire-model.js';
import { fromJson } from './wire-formats.js';
import { build } from './wire-page.js';
import { List } from './wire-list.js';
import { Drawing } from './wire-drawing.js';
import { showDetails, showDetailsAgain } from './wire-details.js';

const page = build(document.querySelector('#wire'), document.body.classList.contains('wire-page'));
let model = new Model();
let chosen = null;
let isFile = false;

const list = new List(page.list, choose);
const drawing = new Drawing(page.drawing, choose);

// What is shown ---------------------------------------------------------------

/** Whether the filters let an item be seen. */
function isShown(item) {
  if (item.isPart && !page.parts.checked) return false;
  return page.client.value === '' || item.client === page.client.value;
}

function choose(item) {
  chosen = item;
  list.choose(item);
  drawing.choose(item);
  page.details.hidden = item === null;
  if (!item) return;
  showDetails(page.details, item, model, options());
  // On a phone the details are below the list, perhaps out of sight.
  if (page.details.getBoundingClientRect().top > innerHeight - 120) page.details.scrollIntoView();
}

const options = () => ({ shows: page.secrets.checked, send, isFile });

/** How long what comes is gathered before it is shown, in milliseconds: a burst is laid out once. */
const GATHERING_TIME = 50;

let gathered = [];

/** The time of the last item that is shown. */
let latest = 0;

/** Adds what has just come. Everything else stays as it is. */
function add(added) {
  gathered.push(added);
  if (gathered.length === 1) setTimeout(() => { if (gathered.length > 0) showGathered(); }, GATHERING_TIME);
}

const byTime = (one, other) => one.at - other.at;

/** Shows what was gathered, in the order of the wire: what the browser reports and what the server reports come by
    different ways, so one may overtake the other. */
function showGathered() {
  const first = Math.min(...gathered.map((added) => added.item.at));
  gathered.sort((one, other) => byTime(one.item, other.item));
  const isLate = first < latest;
  latest = Math.max(latest, gathered.at(-1)?.item.at ?? 0);
  if (isLate) {
    model.items.sort(byTime);
    return refresh();
  }
  const dropped = new Set(gathered.flatMap((added) => added.dropped));
  const items = gathered.map((added) => added.item).filter((item) => isShown(item) && !dropped.has(item));
  gathered = [];
  [list, drawing].forEach((view) => {
    view.remove(dropped);
    view.add(items);
  });
  summarise();
}

/** Shows the rows again, for other filters, another order or another model. The details of the chosen item stay as they
    are, perhaps with a request that is being edited, unless a filter hides it. */
function refresh() {
  gathered = [];
  const items = model.items.filter(isShown);
  list.show(items);
  drawing.show(items);
  if (!chosen || !isShown(chosen)) choose(null);
  summarise();
}

function summarise() {
  const exchanges = model.items.filter((item) => item.kind === 'exchange' && isShown(item));
  const refused = exchanges.filter((item) => item.isFailure).length;
  const words = exchanges.length === 0
    ? 'Nothing yet. Start the flow, or point a client at this server.'
    : `${exchanges.length} request${exchanges.length === 1 ? '' : 's'}, ${refused || 'none'} refused.`;
  if (page.summary.textContent !== words) page.summary.textContent = words;
  const clients = model.clients();
  page.showClients(clients);
  drawing.nameClients(clients.length > 1);
  drawing.nameLanes(lanesOf(model.config));
}

page.parts.addEventListener('change', refresh);
page.client.addEventListener('change', refresh);
page.secrets.addEventListener('change', () => {
  if (chosen) showDetailsAgain(page.details, chosen, model, options());
});
page.clear.addEventListener('click', () => { replace(new Model()); });

function replace(other) {
  other.config = { ...model.config, ...other.config };
  model = other;
  chosen = null;
  latest = Math.max(0, ...model.items.map((item) => item.at));
  refresh();
}

// From the server ---------------------------------------------------------------

/** How long after a refusal the page asks again, in milliseconds. After a lost connection the browser does. */
const REFUSED_TIME = 5000;

let source = null;
let run = null;

/** The mark of the last exchange that came. */
let last = '';

function listen() {
  const own = new EventSource(`/wire/events?after=${last}`);
  source = own;
  own.addEventListener('hello', ({ data }) => {
    const hello = JSON.parse(data);
    // Another process: its numbers start again.
    if (run !== null && run !== hello.run) replace(new Model());
    run = hello.run;
    model.config = hello;
    summarise();
    page.state('');
  });
  own.addEventListener('message', ({ data, lastEventId }) => {
    last = lastEventId;
    add(model.addExchange(JSON.parse(data)));
  });
  own.addEventListener('error', () => {
    page.state('No connection to the server. This page tries again.');
    if (own.readyState !== EventSource.CLOSED) return;
    setTimeout(() => { if (source === own) listen(); }, REFUSED_TIME);
  });
}

function stop() {
  source?.close();
  source = null;
}

// A browser has few connections to a server, for all of its pages. A page that is out of sight gives its own back, and
// catches up when it is seen again.
function followVisibility() {
  if (document.hidden) stop();
  else if (!source && !isFile) listen();
}

document.addEventListener('visibilitychange', followVisibility);

// What only the browser sees comes from the client app's own page, in this browser.
const channel = new BroadcastChannel('wire');
channel.addEventListener('message', ({ data }) => { if (!isFile) add(model.addEvent(data)); });

/** Sends edited bytes once more. Resolves with what to say about it. */
async function send(server, request) {
  try {
    const response = await fetch('/wire/send', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ server, request }),
    });
    const reply = await response.json();
    return response.ok ? 'Sent. It is at the end of the list.' : `It was not sent: ${reply.error_description}.`;
  } catch {
    return 'It was not sent: the server does not answer.';
  }
}

// From and to files -------------------------------------------------------------

page.onExport = () => ({ model, items: model.items.filter(isShown), keepsSecrets: page.secrets.checked });

page.onImport = (text, name) => {
  const file = readFile(fromJson(text));
  stop();
  isFile = true;
  page.client.value = '';
  replace(file);
  page.state(`This is the file ${name}.`, () => {
    isFile = false;
    run = null;
    last = '';
    page.client.value = '';
    replace(new Model());
    followVisibility();
  });
};

function readFile({ exchanges, events, config }) {
  const read = new Model();
  read.config = config;
  const all = [...exchanges.map((exchange) => [exchange.began_ms, () => read.addExchange(exchange)]),
    ...events.map((event) => [event.at, () => read.addEvent(event)])];
  all.sort(([one], [other]) => one - other).forEach(([, put]) => put());
  return read;
}

refresh();
followVisibility();
