// Following the node: `/events` tells each change as it happens. Where it cannot be followed, the
// same is asked for again and again instead.

const FOLLOW_AGAIN = 10000;

// `takes`: for each kind of event what takes its data.
function follower(takes) {
  let source = null;
  let path = null;
  let again = 0;
  const made = { isOpen: false, follow };

  // Follow this path, or with null nothing; called again and again.
  function follow(wanted) {
    if (wanted === path && (source || performance.now() < again)) return;
    source?.close();
    source = null;
    made.isOpen = false;
    path = wanted;
    if (path === null) return;
    const opened = (source = new EventSource(located(path)));
    opened.onopen = () => {
      made.isOpen = opened === source;
    };
    opened.onerror = () => {
      if (opened !== source) return;
      made.isOpen = false;
      if (opened.readyState === EventSource.CLOSED) {
        source = null; // it was refused; after a lost connection it comes back by itself
        again = performance.now() + FOLLOW_AGAIN;
      }
      polling.soon();
    };
    for (const [kind, take] of Object.entries(takes)) {
      opened.addEventListener(kind, (event) => {
        if (opened !== source) return;
        take(JSON.parse(event.data));
        showSoon();
      });
    }
  }
  return made;
}

let toShow = 0;
let cost = 0; // of showing, ms

// Much may come at once; it is shown ten times a second at most, and not for most of the time.
function showSoon() {
  if (toShow || document.hidden) return;
  toShow = setTimeout(() => {
    toShow = 0;
    const began = performance.now();
    show();
    cost = performance.now() - began;
  }, Math.max(100, 3 * cost));
}
