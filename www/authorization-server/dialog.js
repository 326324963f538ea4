// Shows in the dialog that an answer was sent. The form works without this script, and can be sent again: the
// server gives the same answer to the same form.

const form = document.querySelector('form');
const asked = document.querySelector('#asked');
const sent = document.querySelector('#sent');
const buttons = [...form.querySelectorAll('button')];
const labels = buttons.map((button) => button.textContent);

// An app's own scheme leads out of the browser, and this page stays. So it does where the app's page leads on to
// such a scheme, or does not answer: neither can be seen from here, so that after a while this page says the same.
const leadsOut = !/^https?:/i.test(document.querySelector('.card').dataset.returnTo);
const PATIENCE = 5000; // milliseconds

let pressed = null;
let staysHere = leadsOut;
let timer = null;

form.addEventListener('submit', (event) => {
  // The first answer is on its way, and cannot be taken back by the other button.
  if (pressed && event.submitter !== pressed) {
    event.preventDefault();
    return;
  }
  pressed = event.submitter;
  clearTimeout(timer);
  timer = setTimeout(() => {
    staysHere = true;
    show();
  }, PATIENCE);
  show();
});

// The browser's "back" may show this page as it was left.
window.addEventListener('pageshow', (event) => {
  if (!event.persisted) return;
  clearTimeout(timer);
  pressed = null;
  staysHere = leadsOut;
  show();
});

function show() {
  buttons.forEach((button, at) => {
    const isPressed = button === pressed;
    button.textContent = isPressed ? (staysHere ? 'Send again' : 'One moment…') : labels[at];
    button.classList.toggle('pressed', isPressed);
    button.setAttribute('aria-disabled', pressed !== null && !isPressed);
    button.hidden = staysHere && pressed !== null && !isPressed;
  });
  asked.hidden = staysHere && pressed !== null;
  sent.hidden = !asked.hidden;
}
