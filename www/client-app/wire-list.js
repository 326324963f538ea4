// The list of messages. It has everything that the drawing has, for keyboard and screen reader: one stop for Tab, and
// the arrow keys within.

import { LANES } from './wire-model.js';
import { element } from './wire-page.js';

export class List {
  /** A list in `root`, an `<ol>`. `onChoose` is called with the item that was chosen. */
  constructor(root, onChoose) {
    this.root = root;
    this.onChoose = onChoose;
    this.buttons = new Map();
    this.items = new Map();
    root.addEventListener('click', (event) => {
      const button = event.target.closest('button');
      if (button) this.onChoose(this.items.get(button));
    });
    root.addEventListener('keydown', (event) => this.onKey(event));
  }

  show(items) {
    this.root.replaceChildren();
    this.buttons.clear();
    this.items.clear();
    this.add(items);
  }

  add(items) {
    const isAtEnd = this.root.scrollHeight - this.root.scrollTop - this.root.clientHeight < 40;
    this.root.append(...items.map((item) => {
      const button = row(item);
      button.tabIndex = this.buttons.size === 0 ? 0 : -1;
      this.buttons.set(item, button);
      this.items.set(button, item);
      return element('li', {}, button);
    }));
    // Follows what happens, unless the reader has scrolled up.
    if (isAtEnd) this.root.scrollTop = this.root.scrollHeight;
  }

  /** Removes those of `items`, a set, that are in the list. */
  remove(items) {
    let isStopLost = false;
    for (const item of items) {
      const button = this.buttons.get(item);
      if (!button) continue;
      this.buttons.delete(item);
      this.items.delete(button);
      button.parentElement.remove();
      isStopLost ||= button.tabIndex === 0;
    }
    if (isStopLost) this.stopAt(this.root.querySelector('button'));
  }

  choose(item) {
    this.root.querySelector('[aria-current]')?.removeAttribute('aria-current');
    const button = this.buttons.get(item);
    if (!button) return;
    button.setAttribute('aria-current', 'true');
    this.stopAt(button);
    button.scrollIntoView({ block: 'nearest' });
  }

  /** The button that Tab leads to. */
  stopAt(button) {
    this.root.querySelectorAll('[tabindex="0"]').forEach((other) => { other.tabIndex = -1; });
    if (button) button.tabIndex = 0;
  }

  onKey(event) {
    const at = event.target.closest('li');
    if (!at) return;
    const next = {
      ArrowDown: at.nextElementSibling, ArrowUp: at.previousElementSibling,
      Home: this.root.firstElementChild, End: this.root.lastElementChild,
    }[event.key];
    if (!next) return;
    event.preventDefault();
    const button = next.querySelector('button');
    this.stopAt(button);
    button.focus();
  }
}

const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23',
});

function row(item) {
  const begin = clock.format(item.at);
  const words = item.kind === 'event' ? eventWords(item) : exchangeWords(item);
  const way = item.from === item.to ? LANES[item.from] : `${LANES[item.from]} → ${LANES[item.to]}`;
  return element('button', { type: 'button', class: 'wire-row', 'data-failure': item.isFailure, 'data-lane': item.to },
    element('span', { class: 'wire-way' }, `${begin} ${way}`), ...words);
}

/** How long the answer took, in words. */
export const time = (item) => `${(item.took_us / 1000).toFixed(item.took_us < 9950 ? 1 : 0)} ms`;

const eventWords = (item) => [element('span', { class: 'wire-event' }, item.words)];

function exchangeWords(item) {
  const rule = item.decisions.at(-1)?.rule;
  const status = item.status ? `${item.status} ${item.reason}` : 'no answer';
  const took = item.client ? `${time(item)} · ${item.client}` : time(item);
  return [
    element('span', { class: 'wire-line' }, element('code', {}, `${item.method} ${item.path}`), ' ',
      element('span', { class: 'wire-status' }, status), ' ', element('span', { class: 'wire-took' }, took)),
    ...(rule ? [element('span', { class: 'wire-rule' }, item.refusal ? `refused: ${rule}` : rule)] : []),
  ];
}
