// The frame of the wire view: its controls, and the places for list, drawing and details.

import { toHar, toJson, toMermaid } from './wire-formats.js';

/** An element with attributes, and with text or elements in it. Text is never read as HTML. */
export function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...content);
  return made;
}

/** Builds the view in `root`. Beside the flow (`isWhole` is false) it has fewer controls. */
export function build(root, isWhole) {
  // It changes with each message, so a screen reader does not announce it.
  const summary = element('p', { class: 'wire-summary' });
  const banner = element('p', { class: 'note wire-banner', role: 'alert', hidden: true });
  const parts = element('input', { type: 'checkbox', id: 'wire-parts' });
  const secrets = element('input', { type: 'checkbox', id: 'wire-secrets' });
  const client = element('select', { id: 'wire-client' }, element('option', { value: '' }, 'All clients'));
  const clear = element('button', { type: 'button', class: 'wire-small', id: 'wire-clear' }, 'Clear');
  const list = element('ol', { class: 'wire-list', 'aria-label': 'Messages, in the order of the wire' });
  const details = element('section', { class: 'wire-details', 'aria-label': 'The chosen message', hidden: true });
  const drawing = element('section', { class: 'wire-drawing', 'aria-hidden': 'true' });
  const labelled = (control, words) => element('label', { class: 'wire-option' }, control, ` ${words}`);
  const page = { summary, parts, secrets, client, clear, list, details, drawing };

  const controls = element('div', { class: 'wire-controls' },
    element('label', { class: 'wire-option', for: 'wire-client' }, 'Client '), client,
    labelled(secrets, 'Show secrets'), labelled(parts, 'Scripts and styles'), clear);
  const files = element('div', { class: 'wire-controls' }, ...exports(page), ...imports(page));
  const link = element('p', { class: 'wire-more' }, element('a', { href: '/wire' }, 'Open the whole wire view'));
  root.append(summary, banner, controls, ...(isWhole ? [files] : [link]),
    element('div', { class: 'wire-columns' }, list, element('div', { class: 'wire-side' }, details, drawing)));

  // Until the live view is shown again, each message has the way back.
  let back;
  page.state = (words, onLeave) => {
    back = words === '' ? undefined : onLeave ?? back;
    banner.hidden = words === '';
    banner.replaceChildren(words);
    if (!back) return;
    const leave = element('button', { type: 'button', class: 'wire-small' }, 'Back to the live view');
    const whereTo = back;
    leave.addEventListener('click', () => {
      page.state('');
      whereTo();
      client.focus();
    });
    banner.append(' ', leave);
  };
  // The client that is filtered by stays in the list, even if none of its messages are left.
  page.showClients = (clients) => {
    const wanted = client.value;
    const names = wanted && !clients.includes(wanted) ? [wanted, ...clients] : clients;
    const shown = [...client.options].slice(1).map((option) => option.value);
    if (JSON.stringify(names) === JSON.stringify(shown)) return;
    // An option without a value has its text for one, with other white space.
    client.replaceChildren(client.options[0], ...names.map((name) => element('option', { value: name }, name)));
    client.value = wanted;
  };
  return page;
}

/** The buttons that save a file. With "Show secrets" the files have them, too. */
function exports(page) {
  const kinds = [
    ['json', 'Export', 'application/json', ({ model, keepsSecrets }) => toJson(model, keepsSecrets)],
    ['har', 'HAR', 'application/json', ({ model, keepsSecrets }) => toHar(model, keepsSecrets)],
    ['mmd', 'Mermaid', 'text/plain', ({ model, items }) => toMermaid(items, model.config)],
  ];
  return kinds.map(([ending, words, type, make]) => {
    const button = element('button', { type: 'button', class: 'wire-small', id: `wire-${ending}` }, words);
    button.addEventListener('click', () => {
      const url = URL.createObjectURL(new Blob([make(page.onExport())], { type }));
      element('a', { href: url, download: `wire.${ending}` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
    return button;
  });
}

/** The most bytes of a file that is read. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

function imports(page) {
  const input = element('input', {
    type: 'file', id: 'wire-file', accept: '.json,application/json', class: 'wire-hidden',
  });
  input.addEventListener('change', async () => {
    const [file] = input.files;
    if (!file) return;
    try {
      if (file.size > FILE_BYTES_MAX) throw new Error('The file is larger than 64 MiB.');
      page.onImport(await file.text(), file.name);
    } catch (error) {
      page.state(`${file.name} cannot be shown. ${error.message}`);
    }
    input.value = '';
  });
  return [element('label', { class: 'wire-small wire-file', for: 'wire-file' }, 'Import…', input)];
}
