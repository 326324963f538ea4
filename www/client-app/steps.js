// The steps on the page: how far each is, and what was sent and what came back in it.

/** The steps, in the order of the page. */
export const [PREPARE, DIALOG, CALLBACK, TOKEN, SECURE, REVOKE] = [0, 1, 2, 3, 4, 5];

const steps = document.querySelectorAll('.steps > li');

/** Empties every step from `first` on. */
export function reset(first) {
  [...steps].slice(first).forEach((step) => {
    delete step.dataset.step;
    step.querySelectorAll(':scope > details, :scope > .checks, :scope > .advice').forEach((part) => part.remove());
  });
}

/** Marks a step as `doing`, `done`, `failed` or `declined`. */
export function mark(step, state) {
  steps[step].dataset.step = state;
}

/** Adds a message to a step, folded open: `lines` of text or of `pair`s, and a sentence about them. */
export function record(step, title, lines, remark) {
  const parts = [element('summary', {}, title)];
  if (remark) parts.push(element('p', {}, remark));
  if (lines.length > 0) {
    parts.push(element('pre', {}, ...lines.map((line) => element('span', { class: 'line' }, line))));
  }
  const details = element('details', { open: '' }, ...parts);
  steps[step].append(details);
}

/** Adds a comparison that the app made to a step: the words for its outcome, and what was expected. */
export function check(step, isMatch, words, expected) {
  const last = steps[step].lastElementChild;
  const list = last.matches('.checks') ? last : element('ul', { class: 'checks' });
  list.append(element('li', { 'data-check': isMatch ? 'match' : 'mismatch' }, `${words} `,
    element('code', {}, expected)));
  steps[step].append(list);
}

/** Says in a step what to do about its failure. */
export function advise(step, words) {
  steps[step].append(element('p', { class: 'advice' }, element('strong', {}, 'What to do: '), words));
}

/** A line with a name and a value, such as a parameter or a field. */
export function pair(name, separator, value) {
  return element('span', { 'data-name': name }, element('b', {}, name), separator, element('span', {}, value));
}

/** The parameters of a form or a query, one a line, each as it is encoded. */
export function parameters(encoded, before = '') {
  return encoded.toString().split('&').filter(Boolean).map((text, at) => {
    const [name, value] = text.split('=');
    const line = pair(name, '=', value);
    line.prepend(at === 0 ? before : '&');
    return line;
  });
}

function element(name, attributes, ...content) {
  const made = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.append(...content);
  return made;
}
