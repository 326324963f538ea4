// Reports what only the browser sees to the wire view, in this page and in others of this browser.

const channel = new BroadcastChannel('wire');

/** Reports an event between two lanes of the drawing, in words. */
export function report(from, to, words, fails = false) {
  channel.postMessage({ at: Date.now(), from, to, words, fails });
}
