/** Types of the parts of untyped clients that the applications use. */
declare module 'eventsource-2' {
  export default class EventSource {
    onmessage: (event: { readonly data: string }) => void;
    constructor(url: string);
  }
}

declare module 'launchdarkly-eventsource' {
  export class EventSource {
    onmessage: (event: { readonly data: string }) => void;
    onerror: (error: { readonly message: string }) => void;
    constructor(url: string);
  }
}
