import EventSource from 'eventsource-2';

const source = new EventSource(process.argv[2] ?? '');
source.onmessage = (/** @type {{ data: string }} */ event) => {
  console.log(JSON.stringify(JSON.parse(event.data)));
};
