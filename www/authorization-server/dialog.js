// Shows in the dialog that an answer was sent. The form works without this script, and can be sent again: the
// server gives the same answer to the same form.

const form = document.querySelector('form');
const asked = document.querySelector('#asked');
const sent = document.querySelector('#sent');
const buttons = [...form.querySelectorAll('button')];
const labels = buttons.map((button) => button.textContent);

// A redirect to an app's own scheme leaves the browser, and this page stays open. The same happens if the app's page
// redirects to such a scheme or does not respond. This page cannot detect either, so it reacts to a timeout.
const leadsOut = !/^https?:/i.test(document.querySelector('.card').dataset.returnTo);
const PATIENCE = 5000; // milliseconds

let pressed = null;
let staysHere = leadsOut;
let timer = null;

form.addEventListener('submit', (event) => {
  // The first answer is already sent, so the other button must not change it.
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

// Going back in the browser may restore this page in its old state.
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
    button.classList.toggle('pressed', isPressed && !staysHere);
    button.setAttribute('aria-disabled', pressed !== null && !isPressed);
    button.hidden = staysHere && pressed !== null && !isPressed;
  });
  asked.hidden = staysHere && pressed !== null;
  sent.hidden = !asked.hidden;
}
