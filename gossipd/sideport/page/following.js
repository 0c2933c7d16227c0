// Following the node: `/events` tells each change as it happens. Where it cannot be followed, the
// same is asked for again and again instead.
//
// A browser has 6 connections to one address, for all pages of it that are open, and a page that
// follows keeps one of them. So each follows all that it shows by one; where no answer comes, which
// may be for want of a connection, it gives that one up.

const FOLLOW_AGAIN = 10000;
const OTHERS_AGAIN = 60000; // the same, and up to twice that, where others need the connection
const CHANGE_AGAIN = 2000; // between two paths: each begins with all members

// `takes`: for each kind of event what takes its data.
function follower(takes) {
  let source = null;
  let path = null;
  let began = 0;
  let again = 0;
  const made = { isOpen: false, follow, tells, giveUp, leaveToOthers };

  // Whether what this path tells is heard.
  function tells(wanted) {
    return made.isOpen && wanted === path;
  }

  // Follow no more for now; whether it did.
  function giveUp() {
    if (!source) return false;
    close();
    again = ticks() + FOLLOW_AGAIN;
    return true;
  }

  function leaveToOthers() {
    again = ticks() + OTHERS_AGAIN * (1 + Math.random());
  }

  function close() {
    source?.close();
    source = null;
    made.isOpen = false;
  }

  // Follow this path, or with null nothing; called again and again.
  function follow(wanted) {
    const now = ticks();
    if (wanted !== null && (source ? wanted === path || now < began + CHANGE_AGAIN : now < again)) return;
    close();
    path = wanted;
    if (path === null) return;
    began = now;
    const opened = (source = new EventSource(located(path)));
    opened.onopen = () => {
      made.isOpen = opened === source;
    };
    opened.onerror = () => {
      if (opened !== source) return;
      made.isOpen = false;
      if (opened.readyState === EventSource.CLOSED) {
        source = null; // it was refused; after a lost connection it comes back by itself
        again = ticks() + FOLLOW_AGAIN;
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
