import { connect, Problem } from '../client.js';
import { addressIn } from './address.js';
import { Banner } from './banner.js';
import { showBell } from './bell.js';
import { Chats, isRoom } from './chats.js';
import { Conversation } from './conversation.js';
import { element, isolated } from './dom.js';
import { Drawer } from './drawer.js';
import { Notifications } from './notifications.js';
import { Outgoing } from './outgoing.js';
import { renewSession } from './renewal.js';
import { Reader } from './reader.js';
import { Rooms } from './rooms.js';
import { Sight } from './sight.js';
import { Sidebar } from './sidebar.js';
import { untilAnswered } from './until-answered.js';

/** @import { Connection, Status } from '../client.js' */
/** @import { Message, Presence, Stored } from '../client/feed.js' */
/** @import { Frame } from '../client/stream.js' */
/** @import { Chat } from './chats.js' */
/** @import { Api } from './api.js' */

/** Everything that a person sees once it is known who they are. */
export class Desk {
  #api;
  #me;
  #chats;
  #rooms;
  #notifications;
  #sidebar;
  #conversation;
  #banner;
  #drawer;
  #sight;
  #reader;
  #outgoing;
  /** @type {Connection | undefined} */
  #connection;
  /** The inboxes that it follows. @type {readonly string[]} */
  #followed = [];
  /** Which connection is the one of now: one that was closed may still have something to say. */
  #turn = 0;
  #drawing = false;
  /** Ends the wait until what there is can be read. @type {() => void} */
  #beginAgain = () => undefined;

  /**
   * @param {Api} api
   * @param {string} me
   * @param {boolean} isOpen whether the service takes names, having no key
   */
  constructor(api, me, isOpen) {
    this.#api = api;
    this.#me = me;
    this.#rooms = new Rooms(me);
    this.#chats = new Chats(me, (room) => this.#rooms.has(room));
    this.#notifications = new Notifications(api, me, this.#rooms);
    this.#sight = new Sight(api, isOpen);
    this.#reader = new Reader(api, this.#chats, this.#rooms, {
      onChange: () => this.#draw(),
      onUnreadable: (room, why) => this.#giveUp(room, why),
    });
    this.#outgoing = new Outgoing({
      onStored: (message) => {
        this.#chats.take(message);
        this.#draw();
      },
      onChange: () => this.#draw(),
    });
    this.#sidebar = new Sidebar(
      {
        list: element('conversations', HTMLUListElement),
        search: element('search', HTMLInputElement),
        start: element('start', HTMLButtonElement),
        hint: element('sidebar-hint', HTMLElement),
        answer: element('search-answer', HTMLElement),
      },
      (peer) => (location.hash = `#${encodeURIComponent(peer)}`),
    );
    this.#conversation = new Conversation(api, me, {
      onSend: (recipient, content) => this.#outgoing.send(this.#connection, recipient, content),
      onTyping: (recipient) => this.#outgoing.tellTyping(this.#connection, recipient),
      onSeen: (chat, id) => {
        if (!chat.markRead(id)) this.#recount(chat);
        this.#connection?.markRead(chat.peer, id).catch(() => undefined);
        void this.#notifications.close(chat, id);
      },
      onLeave: (room) => this.#leave(room),
      onDismiss: (unsent) => this.#outgoing.dismiss(unsent),
      onChange: () => this.#draw(),
    });
    this.#banner = new Banner(() => {
      this.#beginAgain();
      this.#connection?.reconnect();
    });
    this.#drawer = new Drawer(api, isOpen);
    showBell(this.#notifications);
    this.#wirePage();
    void this.#begin();
  }

  /** Ends it, with what this person has of notifications on this device. */
  async close() {
    this.#connection?.close();
    await this.#notifications.turnOff();
  }

  #wirePage() {
    element('me', HTMLElement).textContent = this.#me;
    element('app', HTMLElement).hidden = false;
    addEventListener('hashchange', () => this.#openPeer());
    this.#rooms.watch(() => void this.#changeRooms());
    // Typing ends by itself.
    setInterval(() => this.#draw(), 2000);
  }

  /** Reads what there is, and follows what comes after it. */
  async #begin() {
    for (let wait = 1000; ; wait = Math.min(wait * 2, 30_000)) {
      try {
        const cursor = await this.#reader.load();
        await this.#sight.turnTo(this.#chats.watchable);
        this.#connect(cursor);
        this.#openPeer();
        return;
      } catch (error) {
        if (error instanceof Problem && error.status === 401) await renewSession(this.#api, this.#me);
        this.#banner.showOffline(error instanceof Problem ? error.message : 'the service cannot be reached');
        await new Promise((resolve) => {
          this.#beginAgain = () => resolve(undefined);
          setTimeout(this.#beginAgain, wait);
        });
      }
    }
  }

  /** @param {string | undefined} cursor */
  #connect(cursor) {
    this.#connection?.close();
    const turn = ++this.#turn;
    /** @template Value @param {(value: Value) => void} take @returns {(value: Value) => void} */
    const now = (take) => (value) => {
      if (turn === this.#turn) take(value);
    };
    this.#followed = [this.#me, ...this.#rooms.joined];
    this.#connection = connect({
      recipient: this.#followed,
      sender: this.#me,
      url: document.baseURI,
      ...(cursor === undefined ? {} : { cursor }),
      presence: this.#sight.watched,
      onMessage: now((/** @type {Stored} */ message) => {
        const taken = this.#chats.take(message);
        if (taken !== undefined && !taken.exact) this.#recount(taken.chat);
        this.#draw();
      }),
      onEvent: now((/** @type {Presence | Message} */ event) => {
        if (this.#chats.takeEvent(event) !== undefined) this.#draw();
      }),
      onStatus: now((/** @type {Status} */ status) => {
        this.#banner.show(status);
        // Whichever window gets a new session, it may see others.
        if (status.state === 'expired') this.#sight.forget();
        // It may be for a room that may not be read any more.
        if (status.state === 'refused') untilAnswered(() => this.#reader.loadRooms()).catch(() => undefined);
        if (status.state === 'live') {
          this.#conversation.retry();
          this.#sight.retry();
        }
        this.#draw();
      }),
      onGap: now((/** @type {{ reason: string }} */ { reason }) => void this.#startOver(reason)),
      onFrame: now((/** @type {Frame} */ frame) => this.#drawer.add(frame)),
      onExpired: () => this.#renew(),
      onRefused: ({ draft, problem }) => this.#outgoing.refuse(draft, problem.message),
    });
    this.#banner.show(this.#connection.status);
    void this.#notifications.follow();
    this.#showCommand();
    this.#draw();
  }

  #showCommand() {
    this.#drawer.showCommand(this.#followed, this.#sight.watched);
  }

  async #renew() {
    await renewSession(this.#api, this.#me);
    this.#outgoing.forgetMute();
    this.#sight.forget();
    await this.#watch();
    // Another token may read fewer of them.
    await this.#reader.loadRooms().catch(() => undefined);
  }

  /** Watches those who are in the list now. */
  async #watch() {
    if (this.#connection === undefined || !(await this.#sight.turnTo(this.#chats.watchable))) return;
    this.#connection.watch(this.#sight.watched);
    this.#showCommand();
  }

  /** What is shown is not whole, or wrong: it is read anew. @param {string} reason */
  async #startOver(reason) {
    this.#banner.showGap(reason);
    if (reason !== 'purged') {
      this.#chats.forget();
      this.#openPeer();
    }
    await untilAnswered(() => this.#reader.load()).catch(() => undefined);
  }

  #openPeer() {
    if (this.#connection === undefined) return;
    const peer = addressIn(location.hash);
    if (peer !== undefined && isRoom(peer) && !this.#rooms.has(peer)) {
      void this.#join(peer);
      return;
    }
    this.#conversation.open(peer === undefined ? undefined : this.#chats.get(peer));
    this.#draw();
  }

  /** @param {string} room */
  async #join(room) {
    // From before the room is read: what comes to it meanwhile comes by the stream.
    const cursor = this.#connection?.cursor;
    const joined = await this.#reader.loadRoom(room).catch(() => {
      this.#sidebar.say('The service cannot be reached: a room cannot be joined now.');
      if (!this.#rooms.has(room)) this.#chats.remove(room);
      return false;
    });
    if (!joined) {
      // Another conversation may have been opened.
      if (addressIn(location.hash) === room) location.hash = '';
      return;
    }
    this.#rooms.join(room);
    this.#connect(cursor);
    this.#openPeer();
  }

  /** A room may not be read, or not any more: the stream goes on without it. @param {string} room @param {string} why */
  #giveUp(room, why) {
    this.#sidebar.say(`${isolated(room)} cannot be read: ${why}`);
    if (addressIn(location.hash) === room) location.hash = '';
    if (this.#followed.includes(room)) this.#connect(this.#connection?.cursor);
  }

  /** @param {string} room */
  #leave(room) {
    this.#rooms.leave(room);
    this.#chats.remove(room);
    location.replace('#');
    this.#connect(this.#connection?.cursor);
  }

  /** Another window of this browser joined rooms, or left some. */
  async #changeRooms() {
    const cursor = this.#connection?.cursor;
    for (const chat of this.#chats.list)
      if (chat.isRoom && !this.#rooms.has(chat.peer)) this.#chats.remove(chat.peer);
    const peer = addressIn(location.hash);
    if (peer !== undefined && isRoom(peer) && !this.#rooms.has(peer)) location.hash = '';
    for (const room of this.#rooms.joined)
      if (!this.#chats.has(room)) await this.#reader.loadRoom(room).catch(() => undefined);
    // A page that is being opened follows what is joined by then, from where its list ends.
    if (cursor !== undefined) this.#connect(cursor);
  }

  /** Asks how many are unread: only a part of what was counted has been read. @param {Chat} chat */
  #recount(chat) {
    this.#reader.recount(chat).catch(() => undefined);
  }

  /** Draws at the next frame, however often it is asked for until then. */
  #draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    // Not requestAnimationFrame: the title's count goes on in a window that is not seen.
    setTimeout(() => {
      this.#drawing = false;
      this.#drawNow();
    }, 16);
  }

  #drawNow() {
    const peer = addressIn(location.hash);
    const { unread } = this.#chats;
    this.#notifications.setBadge(unread);
    void this.#watch();
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${peer ?? this.#me} · Tidings`;
    this.#sidebar.show(this.#chats.list, peer);
    this.#conversation.show(this.#outgoing.unsent(this.#connection));
  }
}
