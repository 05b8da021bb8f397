import { EventSource } from 'launchdarkly-eventsource';

const source = new EventSource(process.argv[2] ?? '');
source.onmessage = (/** @type {{ data: string }} */ event) => {
  console.log(JSON.stringify(JSON.parse(event.data)));
};
// Needed: it emits "error" as Node's emitters do, and one that nobody listens to ends the process.
source.onerror = (/** @type {{ message: string }} */ error) => {
  console.error(error.message);
};
