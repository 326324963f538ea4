// The list of messages. It has everything that the drawing has, for keyboard and screen reader: one stop for Tab, and
// the arrow keys within.

import { LANES } from './wire-model.js';
import { element } from './wire-page.js';

/** How many frames it takes until the rows at the end have their own heights: those out of sight have a guessed one. */
const FRAMES = 3;

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
    // Follows what happens, until the reader scrolls up.
    this.follows = true;
    this.top = 0;
    root.addEventListener('scroll', () => this.onScroll(), { passive: true });
  }

  /** Shows these items and no others. The rows that are there stay, with their focus. */
  show(items) {
    const wanted = new Set(items);
    this.remove(new Set([...this.buttons.keys()].filter((item) => !wanted.has(item))));
    let at = this.root.firstElementChild;
    for (const item of items) {
      const place = this.buttons.get(item)?.parentElement ?? this.make(item);
      if (place === at) at = at.nextElementSibling;
      else this.root.insertBefore(place, at);
    }
    if (this.follows) this.toEnd(FRAMES);
  }

  add(items) {
    this.root.append(...items.map((item) => this.make(item)));
    if (this.follows) this.toEnd(FRAMES);
  }

  make(item) {
    const button = row(item);
    button.tabIndex = this.buttons.size === 0 ? 0 : -1;
    this.buttons.set(item, button);
    this.items.set(button, item);
    return element('li', {}, button);
  }

  toEnd(frames) {
    this.root.scrollTop = this.root.scrollHeight;
    this.top = this.root.scrollTop;
    if (frames > 0) requestAnimationFrame(() => { if (this.follows) this.toEnd(frames - 1); });
  }

  onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.root;
    if (scrollHeight - scrollTop - clientHeight < 40) this.follows = true;
    else if (scrollTop < this.top) this.follows = false;
    this.top = scrollTop;
  }

  /** Removes those of `items`, a set, that are in the list. If one of them had the focus, the first row gets it. */
  remove(items) {
    let [isStopLost, isFocusLost] = [false, false];
    for (const item of items) {
      const button = this.buttons.get(item);
      if (!button) continue;
      isFocusLost ||= button === document.activeElement;
      this.buttons.delete(item);
      this.items.delete(button);
      button.parentElement.remove();
      isStopLost ||= button.tabIndex === 0;
    }
    const first = this.root.querySelector('button');
    if (isStopLost) this.stopAt(first);
    if (isFocusLost) first?.focus({ preventScroll: true });
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
