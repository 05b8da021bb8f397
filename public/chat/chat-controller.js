import { Problem } from '../client.js';
import { Alarm } from './alarm.js';
import { Banner } from './banner.js';
import { showBell } from './bell.js';
import { isRoom } from './chat.js';
import { Chats } from './chats.js';
import { Conversation } from './conversation.js';
import { element } from './dom.js';
import { Drawer } from './drawer.js';
import { onceAFrame } from './drawing.js';
import { refuseFiles } from './files.js';
import { Following } from './following.js';
import { useKeyboard } from './keyboard.js';
import { Membership } from './membership.js';
import { useMenu } from './menu.js';
import { Notifications } from './notifications.js';
import { Opening } from './opening.js';
import { Outgoing } from './outgoing.js';
import { renewSession } from './renewal.js';
import { Reader } from './reader.js';
import { Rooms } from './rooms.js';
import { Route } from './route.js';
import { PresenceAccess } from './presence-access.js';
import { Sidebar } from './sidebar.js';
import { SignOut } from './sign-out.js';
import { TabCopy } from './tab-copy.js';
import { untilAnswered } from './until-answered.js';
import { Watching } from './watching.js';

/** @import { Status } from '../client/connect.js' */
/** @import { Stored } from '../client/feed.js' */
/** @import { Chat } from './chat.js' */
/** @import { Api } from './api.js' */

const UNREACHABLE = 'the service cannot be reached';

/** The chat of a person who is signed in. */
export class ChatController {
  #api;
  #me;
  #chats;
  #rooms;
  #notifications;
  #sidebar;
  #conversation;
  #banner;
  #drawer;
  #presenceAccess;
  #reader;
  #outgoing;
  #following;
  #route = new Route(() => this.#openPeer());
  #watching = new Watching(() => this.#following.watch(this.#chats.watchable));
  #draw = onceAFrame(() => this.#drawNow());
  /** Draws when messages expire or people stop typing, which happens by itself. */
  #alarm = new Alarm(() => {
    this.#draw();
    void this.#notifications.closeExpired();
  });
  #opening = new Opening();
  #copy;
  /** Why the service cannot be reached, if that was so from the start. */
  #fault = '';
  /** Signs the person out. */
  signOut;
  #membership;

  /**
   * @param {Api} api
   * @param {string} me
   * @param {boolean} isOpen whether the service has no key, so that anybody may use any name
   * @param {(() => Promise<boolean>) | undefined} isStill asks whether this is still the person, if unknown
   */
  constructor(api, me, isOpen, isStill) {
    this.#api = api;
    this.#me = me;
    this.#rooms = new Rooms(api, me);
    this.#chats = new Chats(me, (room) => this.#rooms.has(room));
    this.#notifications = new Notifications(api, me, this.#rooms);
    this.#presenceAccess = new PresenceAccess(api, isOpen, () => this.#watching.look());
    this.#reader = new Reader(api, this.#chats, this.#rooms, {
      onChange: () => this.#changeChats(),
      onUnreadable: (room) => this.#membership.giveUp(room),
    });
    this.#following = new Following(
      me,
      this.#rooms,
      this.#presenceAccess,
      {
        onMessage: (message) => this.#takeMessage(message),
        onEvent: (event) => {
          if (this.#chats.takeEvent(event) !== undefined) this.#changeChats();
        },
        onStatus: (status) => this.#takeStatus(status),
        onGap: ({ reason }) => void this.#startOver(reason),
        onFrame: (frame) => this.#drawer.add(frame),
        onExpired: () => this.#renew(),
        onRefused: ({ draft, problem }) => this.#outgoing.refuse(draft, problem),
      },
      () => this.#showFollowing(),
    );
    this.#outgoing = new Outgoing(api, me, {
      onStored: (message) => {
        this.#chats.take(message);
        this.#changeChats();
      },
      onChange: () => this.#draw(),
    });
    this.#sidebar = new Sidebar({
      onOpen: (peer) => this.#route.open(peer),
      onLeave: () => this.#conversation.focus(),
    });
    this.#conversation = new Conversation(api, me, isOpen, {
      onSend: (recipient, content) => this.#outgoing.send(this.#following.connection, recipient, content),
      onTyping: (recipient) => this.#outgoing.tellTyping(this.#following.connection, recipient),
      onSeen: (chat, id) => {
        // In a copy, nothing is told before the service has given the state of the conversation.
        if (this.#following.connection === undefined) return;
        if (!chat.markRead(id)) void this.#recount(chat);
        this.#following.connection.markRead(chat.peer, id).catch(() => undefined);
        void this.#notifications.close(chat, id);
      },
      onLeave: (room) => this.#membership.leave(room),
      onDismiss: (unsent) => this.#outgoing.dismiss(unsent),
      onChange: () => this.#draw(),
    });
    this.#banner = new Banner(() => {
      this.#opening.again();
      this.#following.connection?.reconnect();
    });
    this.#drawer = new Drawer(api, isOpen);
    this.#copy = new TabCopy(api, me, () => {
      const cursor = this.#following.connection?.cursor;
      return cursor === undefined ? undefined : { cursor, chats: this.#chats.list };
    });
    const parts = {
      rooms: this.#rooms,
      chats: this.#chats,
      reader: this.#reader,
      following: this.#following,
      outgoing: this.#outgoing,
      notifications: this.#notifications,
      sidebar: this.#sidebar,
      route: this.#route,
      copy: this.#copy,
    };
    this.signOut = new SignOut(api, me, isOpen, parts);
    const events = { onJoined: () => this.#openPeer(), onRemoved: () => this.#changeChats() };
    this.#membership = new Membership(parts, events);
    showBell(this.#notifications);
    this.#wirePage();
    void this.#begin(isStill);
  }

  #wirePage() {
    element('me', HTMLElement).textContent = this.#me;
    element('app', HTMLElement).hidden = false;
    useKeyboard(this.#sidebar, {
      onWrite: () => this.#conversation.focus(),
      onLeave: () => this.#route.forget(),
    });
    refuseFiles();
    useMenu();
    this.#route.check();
  }

  /** Loads all chats, and then follows new messages. @param {(() => Promise<boolean>) | undefined} isStill */
  async #begin(isStill) {
    if (isStill !== undefined) this.#showCopy(UNREACHABLE);
    const { cursor: copied } = this.#copy;
    await this.#opening.run(
      async () => {
        if (isStill !== undefined && !(await isStill())) {
          this.signOut.giveWay();
          return;
        }
        const cursor = await this.#reader.load();
        await this.#presenceAccess.turnTo(this.#chats.watchable);
        if (this.#fault !== '' && copied !== undefined && (await this.#reader.isRestored(copied)))
          this.#banner.showGap('restored');
        this.#following.begin(cursor);
        this.#openPeer();
      },
      async (error) => {
        if (error instanceof Problem && error.status === 401) await renewSession(this.#api, this.#me);
        this.#showCopy(error instanceof Problem && error.status < 500 ? error.message : UNREACHABLE);
      },
    );
  }

  /** Shows what this tab had, because there is nothing newer. @param {string} fault the reason */
  #showCopy(fault) {
    const isFirst = this.#fault === '';
    this.#fault = fault;
    this.#banner.showOffline(fault, this.#outgoing.waiting);
    if (isFirst) {
      this.#chats.showCopy(this.#copy.at(Date.now())?.conversations ?? []);
      for (const room of this.#rooms.joined) this.#chats.get(room);
      this.#openPeer();
    }
    this.#draw();
  }

  /** @param {Stored} message */
  #takeMessage(message) {
    const taken = this.#chats.take(message);
    if (taken !== undefined && !taken.exact) void this.#recount(taken.chat);
    this.#changeChats();
  }

  /** Draws the conversations, which may have changed, and watches the right people. */
  #changeChats() {
    this.#draw();
    this.#watching.look();
  }

  /** @param {Status} status */
  #takeStatus(status) {
    if (status.state === 'replaced' || status.state === 'signed-out') {
      this.signOut.giveWay();
      return;
    }
    this.#banner.show(status);
    // A new session, of any window, may allow other addresses.
    if (status.state === 'expired') {
      this.#presenceAccess.forget();
      this.#watching.lookNow();
    }
    // The reason may be a room that this person may no longer read.
    if (status.state === 'refused') untilAnswered(() => this.#reader.loadRooms()).catch(() => undefined);
    if (status.state === 'live') {
      this.#conversation.retry();
      this.#presenceAccess.retry();
    }
    this.#draw();
  }

  /** Shows what the connection follows and watches now. */
  #showFollowing() {
    const { connection, inboxes } = this.#following;
    if (connection === undefined) return;
    this.#banner.show(connection.status);
    this.#drawer.showCommand(inboxes, this.#presenceAccess.watched);
    void this.#notifications.follow();
    this.#draw();
  }

  async #renew() {
    await renewSession(this.#api, this.#me);
    this.#outgoing.forgetMute();
    this.#presenceAccess.forget();
    await this.#following.watch(this.#chats.watchable);
    // The new token may allow fewer rooms.
    await this.#reader.loadRooms().catch(() => undefined);
  }

  /** Loads everything again, because messages are missing or wrong. @param {string} reason */
  async #startOver(reason) {
    this.#banner.showGap(reason);
    if (reason !== 'purged') {
      this.#chats.forget();
      this.#openPeer();
    }
    await untilAnswered(() => this.#reader.load()).catch(() => undefined);
  }

  #openPeer() {
    if (this.#following.connection === undefined && this.#fault === '') return;
    const peer = this.#route.peer;
    if (peer !== undefined && isRoom(peer) && !this.#rooms.has(peer)) {
      void this.#membership.join(peer);
      return;
    }
    this.#conversation.open(peer === undefined ? undefined : this.#chats.get(peer));
    this.#watching.lookNow();
    this.#draw();
  }

  /** Asks for the number of unread messages, after only some of them were read. @param {Chat} chat */
  async #recount(chat) {
    if (!this.#chats.isCopy) await this.#reader.recount(chat).catch(() => undefined);
    if (this.#chats.drop(chat, this.#route.peer)) this.#draw();
  }

  #drawNow() {
    for (const chat of this.#chats.expire(Date.now())) void this.#recount(chat);
    this.#alarm.set(this.#chats.nextChange);
    const peer = this.#route.peer;
    const { unread } = this.#chats;
    this.#conversation.show(this.#outgoing.unsent(this.#following.connection));
    if (this.#following.connection !== undefined) this.#copy.touch();
    else if (this.#fault !== '') this.#banner.showOffline(this.#fault, this.#outgoing.waiting);
    this.#sidebar.show(this.#chats.list, peer);
    this.#notifications.setBadge(unread);
    const title = `${unread > 0 ? `(${unread}) ` : ''}${peer ?? this.#me} · Tidings`;
    if (document.title !== title) document.title = title;
    // Last, because it measures where the reader is: everything is laid out for that.
    this.#conversation.settle();
  }
}
