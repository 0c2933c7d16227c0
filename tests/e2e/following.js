// Prints each event that a browser's EventSource dispatches, as a line of JSON.
const source = new EventSource(process.argv[2]);
for (const kind of ["member", "present", "counts", "increment", "end"]) {
  source.addEventListener(kind, (event) => {
    console.log(JSON.stringify({ kind, id: event.lastEventId, data: JSON.parse(event.data) }));
  });
}
