import { EventSourcePlus } from 'event-source-plus';

const source = new EventSourcePlus(process.argv[2] ?? '');
source.listen({
  onMessage(message) {
    console.log(JSON.stringify(JSON.parse(message.data)));
  },
});
