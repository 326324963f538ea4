// The page of the attacker. Each exercise is a section, with the name of its defence, a switch, buttons that attack
// (attacks.js), and a result.

import { ATTACKS, NEAR_MISSES, rules } from './attacks.js';

// How often the server is asked whether a switched rule applies.
const POLLS_MAX = 100;

/** Switches `rule` and waits until the server applies it. */
async function turn(rule, on) {
  const answer = await fetch('/rules/switch', { method: 'POST', body: new URLSearchParams({ rule, on }) });
  if (!answer.ok) throw new Error((await answer.json()).error_description);
  for (let polls = 0; polls < POLLS_MAX; polls += 1) {
    if ((await rules())[rule] === on) return;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  throw new Error('the server does not apply it, or another tab has switched it back.');
}

/** Shows the chosen near-miss beside what is registered. */
function showNearMiss(section) {
  const select = section.querySelector('select');
  const show = () => {
    const { registered, asked } = NEAR_MISSES[select.value];
    section.querySelector('.registered').textContent = registered;
    section.querySelector('.asked').textContent = asked;
  };
  select.addEventListener('change', show);
  show();
}

const now = await rules();
for (const section of document.querySelectorAll('.exercise')) {
  const { rule } = section.dataset;
  const defence = section.querySelector('.switch input');
  const result = section.querySelector('.result');
  const say = (text, state = '') => {
    result.textContent = text;
    result.dataset.state = state;
  };

  defence.checked = now[rule];
  defence.addEventListener('change', async () => {
    const on = defence.checked;
    const isLast = () => defence.checked === on;
    try {
      await turn(rule, on);
      if (isLast()) say(on ? 'The defence is on.' : 'The defence is off.', 'switched');
    } catch (error) {
      if (!isLast()) return;
      defence.checked = !on;
      say(`The defence was not switched: ${error.message}`, 'failed');
    }
  });
  for (const button of section.querySelectorAll('[data-attack]')) {
    button.addEventListener('click', async () => {
      // `aria-disabled`, not `disabled`: the button keeps the keyboard's focus.
      if (button.getAttribute('aria-disabled') === 'true') return;
      const attack = ATTACKS[button.dataset.attack];
      button.setAttribute('aria-disabled', true);
      say('Running …');
      let isOver = true;
      try {
        const [isStolen, text] = await attack(section, say);
        isOver = isStolen !== null;
        say(text, isStolen === null ? 'ready' : isStolen ? 'stolen' : 'refused');
      } catch (error) {
        say(`The attack failed: ${error.message}`, 'refused');
      }
      // The forged login takes a new code each time.
      button.setAttribute('aria-disabled', button.dataset.attack === 'state_check' && isOver);
    });
  }
}
showNearMiss(document.querySelector('[data-rule=exact_redirect]'));
document.body.dataset.ready = '';
