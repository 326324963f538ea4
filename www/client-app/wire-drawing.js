// The drawing: a lane for each party, an arrow for each message, in the order of the wire. The list says all of it in
// words, so a screen reader skips the drawing.

import { lanesOf } from './wire-model.js';
import { time } from './wire-list.js';
import { element } from './wire-page.js';

const SVG = 'http://www.w3.org/2000/svg';
const STEP = 26;
const EDGE = 12;

function svg(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  if (text !== undefined) made.textContent = text;
  return made;
}

export class Drawing {
  constructor(root, onChoose) {
    this.onChoose = onChoose;
    this.items = [];
    this.groups = new Map();
    this.chosen = null;
    this.namesClients = false;
    this.width = 0;
    this.picture = svg('svg', { class: 'wire-picture', focusable: 'false' });
    this.picture.append(arrowheads());
    this.lanes = this.picture.appendChild(svg('g', { class: 'wire-lanes' }));
    this.arrows = this.picture.appendChild(svg('g', {}));
    this.names = element('div', { class: 'wire-names' });
    root.append(this.names, this.picture);
    this.nameLanes(lanesOf({}));
    this.picture.addEventListener('click', (event) => {
      const group = event.target.closest('[data-key]');
      const item = group && this.items.find((own) => own.key === group.dataset.key);
      if (item) this.onChoose(item);
    });
    // The lanes follow the width of the page.
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width > 0 && width !== this.width) {
        this.width = width;
        this.show(this.items);
      }
    }).observe(root);
  }

  show(items) {
    this.items = [];
    this.groups.clear();
    this.arrows.replaceChildren();
    this.rows = 0;
    this.add(items);
    this.choose(this.chosen);
  }

  add(items) {
    this.items.push(...items);
    if (this.width === 0) return;
    this.arrows.append(...items.map((item) => this.group(item)));
    this.fit();
  }

  /** Draws these lanes, by their names. */
  nameLanes(lanes) {
    if (lanes.length === this.names.children.length) return;
    // Soft hyphens, for a phone.
    const hyphenated = (lane) => lane.replace('authorization', 'authori\u00adzation')
      .replace('protected', 'pro\u00adtected');
    this.names.replaceChildren(...lanes.map((lane, index) => (
      element('span', { 'data-lane': index }, hyphenated(lane)))));
    this.show(this.items);
  }

  /** Whether the arrows say whose they are: where there are several clients. */
  nameClients(namesClients) {
    if (namesClients === this.namesClients) return;
    this.namesClients = namesClients;
    this.show(this.items);
  }

  group(item) {
    const group = svg('g', { 'data-key': item.key, class: item.isFailure ? 'wire-bad' : 'wire-good' });
    const client = this.namesClients && item.client ? ` · ${item.client}` : '';
    const words = item.kind === 'event' ? item.words : `${item.method} ${item.path}`;
    this.arrow(group, item, item.from, item.to, `${words}${client}`);
    if (item.kind === 'exchange') {
      const answer = item.status ? `${item.status} ${item.reason}, ${time(item)}` : 'no answer';
      this.arrow(group, item, item.to, item.from, answer, true);
    }
    this.groups.set(item, group);
    return group;
  }

  /** Removes those of `items`, a set, that are drawn, and moves up what was below them. */
  remove(items) {
    if (items.size === 0) return;
    this.show(this.items.filter((own) => !items.has(own)));
  }

  choose(item) {
    this.chosen = item;
    this.arrows.querySelector('.wire-chosen')?.classList.remove('wire-chosen');
    this.groups.get(item)?.classList.add('wire-chosen');
  }

  x(lane) {
    return Math.round((this.width * (lane + 0.5)) / this.names.children.length);
  }

  arrow(group, item, from, to, words, isAnswer = false) {
    const y = EDGE + this.rows * STEP + STEP / 2;
    this.rows += 1;
    const [start, end] = [this.x(from), this.x(to)];
    const kind = item.isFailure ? 'bad' : 'good';
    group.append(svg('rect', { class: 'wire-hit', x: 0, y: y - STEP / 2, width: this.width, height: STEP }));
    if (start === end) {
      group.append(svg('circle', { cx: start, cy: y, r: 4 }));
    } else {
      const tip = end + (end > start ? -2 : 2);
      group.append(svg('line', {
        x1: start, y1: y, x2: tip, y2: y, 'marker-end': `url(#wire-${kind})`,
        ...(isAnswer && { 'stroke-dasharray': '5 4' }),
      }));
    }
    // Beside the arrow where there is more room; a long one is cut.
    const middle = start === end ? start : (start + end) / 2;
    const room = 2 * Math.min(middle, this.width - middle);
    const most = Math.max(6, Math.floor(room / 6.6));
    const text = words.length > most ? `${words.slice(0, most - 1)}…` : words;
    group.append(svg('text', { x: middle, y: y - (start === end ? 7 : 5), 'text-anchor': 'middle' }, text));
  }

  fit() {
    const height = EDGE * 2 + (this.rows ?? 0) * STEP;
    this.picture.setAttribute('width', this.width);
    this.picture.setAttribute('height', height);
    this.lanes.replaceChildren(...Array.from(this.names.children, (_, lane) => (
      svg('line', { x1: this.x(lane), y1: 0, x2: this.x(lane), y2: height, 'data-lane': lane }))));
  }
}

function arrowheads() {
  const heads = ['good', 'bad'].map((kind) => {
    const marker = svg('marker', { id: `wire-${kind}`, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8,
      markerHeight: 8, orient: 'auto-start-reverse', markerUnits: 'userSpaceOnUse' });
    marker.append(svg('path', { d: 'M0 0L8 4L0 8z', class: `wire-head-${kind}` }));
    return marker;
  });
  const defs = svg('defs', {});
  defs.append(...heads);
  return defs;
}
