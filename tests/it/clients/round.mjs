// Plays rounds of MQTT with mqtt.js.
//
// A round is a line of JSON on standard input, what was heard in it a line of JSON on standard output; `round.rs` describes
// both. Exit code 1 when a round could not be played to its end. NODE_PATH names the folder in which mqtt.js is installed.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

// Unlike `import`, this looks into NODE_PATH.
const mqtt = createRequire(import.meta.url)('mqtt');

const PATIENCE_MS = 30_000;
const SESSION_S = 300;

// A user property with the round's name, which travels with each message of MQTT 5.
const marked = (round) => (round.version === 5 ? { properties: { userProperties: { mark: round.name } } } : {});

const read = (file) => (file ? readFileSync(file) : undefined);

class Refused extends Error {}

// One connection; `heard` grows as messages come.
class Link {
  heard = [];
  fault = null;
  wake = () => {};

  constructor(round, name, { lasting = null, will = null }) {
    this.round = round;
    this.broken = new Promise((_, reject) => {
      this.breaks = reject;
    });
    // Who does not wait for anything need not be told.
    this.broken.catch(() => {});
    this.client = mqtt.connect(round.url, {
      clientId: `${round.name}-${name}`,
      protocolVersion: round.version,
      clean: !lasting,
      properties: round.version === 5 ? { sessionExpiryInterval: lasting === 'stays' ? SESSION_S : 0 } : undefined,
      username: round.user ?? undefined,
      password: round.password ?? undefined,
      ca: read(round.ca),
      cert: read(round.cert),
      key: read(round.key),
      will: will ? { ...will, qos: round.qos, retain: false, ...marked(round) } : undefined,
      reconnectPeriod: 0,
      connectTimeout: PATIENCE_MS,
    });
    // Before CONNACK: what waits in a session comes together with it.
    this.client.on('message', (topic, payload, packet) => {
      const mark = packet.properties?.userProperties?.mark ?? null;
      this.heard.push({ topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain, mark });
      this.wake();
    });
    this.client.on('error', (error) => this.fail(error));
    this.client.on('close', () => this.fail(new Error('the connection has ended')));
  }

  static async open(links, round, name, more = {}) {
    const link = new Link(round, name, more);
    const connected = new Promise((resolve) => {
      link.client.once('connect', resolve);
    });
    await Promise.race([connected, link.broken]).catch((error) => {
      link.client.end(true);
      // A code of CONNACK is a number, other codes are texts.
      throw Number.isInteger(error.code) ? new Refused(error.code) : error;
    });
    links.push(link);
    return link;
  }

  fail(fault) {
    this.fault ??= fault;
    this.breaks(fault);
    this.wake();
  }

  async subscribe(filters) {
    const { qos } = this.round;
    const granted = await Promise.race([this.client.subscribeAsync(filters, { qos }), this.broken]);
    if (granted.length !== filters.length || granted.some((grant) => grant.qos !== qos)) {
      throw new Error(`${filters}: granted ${JSON.stringify(granted)}`);
    }
  }

  // Hands all of them over, then waits until all are acknowledged.
  async publish(messages, qos = this.round.qos) {
    const publish = ({ topic, payload, retain = false }) =>
      this.client.publishAsync(topic, payload, { qos, retain, ...marked(this.round) });
    await Promise.race([Promise.all(messages.map(publish)), this.broken]);
  }

  break() {
    this.client.stream.destroy();
  }

  async close() {
    await this.client.endAsync();
  }
}

async function until(what, links, holds) {
  const limit = AbortSignal.timeout(PATIENCE_MS);
  while (!holds()) {
    const fault = links.find((link) => link.fault)?.fault;
    if (fault) throw fault;
    if (limit.aborted) throw new Error(`waited in vain for ${what}; heard ${JSON.stringify(links.map((l) => l.heard))}`);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000);
      for (const link of links) {
        link.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      }
    });
  }
}

const say = (seen) => process.stdout.write(`${JSON.stringify(seen)}\n`);
const ended = (link, end) => link.heard.some((message) => message.topic === end);

async function play(round, links, lines) {
  const { name, before = [], publish = [], away = false, end } = round;
  const publisher = await Link.open(links, round, 'publisher');
  await publisher.publish(before, Math.max(round.qos, 1));
  let subscribers = [];
  for (const [number, filters] of round.subscribers.entries()) {
    const subscriber = await Link.open(links, round, `subscriber-${number}`, { lasting: away ? 'stays' : null });
    await subscriber.subscribe(filters);
    if (away) await links.splice(links.indexOf(subscriber), 1)[0].close();
    else subscribers.push(subscriber);
  }
  say({ name, subscribed: true });
  if (round.wait) await lines.next();
  if (round.will) (await Link.open([], round, 'willing', { will: round.will })).break();
  await publisher.publish(publish);
  if (away) {
    subscribers = await Promise.all(
      round.subscribers.map((_, number) => Link.open(links, round, `subscriber-${number}`, { lasting: 'ends' })),
    );
  }
  for (const subscriber of subscribers) await subscriber.subscribe([end]);
  const heard = () => subscribers.reduce((sum, subscriber) => sum + subscriber.heard.length, 0);
  await until('messages', subscribers, () => heard() >= round.heard);
  // What is heard beyond what was waited for comes before the last word.
  await publisher.publish([{ topic: end, payload: 'end' }]);
  await until('the end', subscribers, () => subscribers.every((subscriber) => ended(subscriber, end)));
  return subscribers.map((subscriber) => subscriber.heard.filter((message) => message.topic !== end));
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
for (let line = await lines.next(); !line.done; line = await lines.next()) {
  const round = JSON.parse(line.value);
  const { name } = round;
  const links = [];
  try {
    say({ name, heard: await play(round, links, lines) });
  } catch (error) {
    if (error instanceof Refused) say({ name, refused: Number(error.message) });
    else {
      say({ name, error: String(error.stack ?? error) });
      process.exitCode = 1;
    }
  }
  for (const link of links) await link.close();
}
