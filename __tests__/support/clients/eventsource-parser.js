// A parser is all it is: to connect again and to go on behind the last id is the application's.
import { setTimeout as sleep } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';

let lastEventId = '';
let retry = 1000;
const parser = createParser({
  onEvent({ id, data }) {
    lastEventId = id ?? lastEventId;
    console.log(JSON.stringify(JSON.parse(data)));
  },
  onRetry(milliseconds) {
    retry = milliseconds;
  },
});
for (;;) {
  try {
    const headers = { Accept: 'text/event-stream', 'Last-Event-ID': lastEventId };
    const { body } = await fetch(process.argv[2] ?? '', { headers });
    if (body === null) throw new Error('no body');
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) parser.feed(chunk);
  } catch (error) {
    console.error(error);
  }
  parser.reset();
  await sleep(retry);
}
