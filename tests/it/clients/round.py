"""Plays rounds of MQTT with paho-mqtt.

A round is a line of JSON on standard input, what was heard in it a line of JSON on standard output; `round.rs` describes
both. Exit code 1 when a round could not be played to its end. By hand:

  echo '{"name": "r", "url": "mqtt://127.0.0.1:1883", "version": 5, "qos": 1, "subscribers": [["a/+"]],
         "publish": [{"topic": "a/b", "payload": "1"}], "heard": 1, "end": "a-end"}' | tr -d '\n' | python round.py
"""

import json
import sys
import threading
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE_S = 30
SESSION_S = 300


class Refused(Exception):
    def __init__(self, code):
        super().__init__(f"CONNACK {code}")
        self.code = code


def marked(round, packet_type):
    """A user property with the round's name, which travels with each message of MQTT 5."""
    if round["version"] < 5:
        return None
    properties = Properties(packet_type)
    properties.UserProperty = ("mark", round["name"])
    return properties


class Link:
    """One connection; `heard` grows on the library's thread."""

    def __init__(self, round, name, lasting=False, will=None):
        self.round = round
        self.news = threading.Condition()
        self.answer, self.granted, self.heard, self.done, self.fault = None, {}, [], set(), None
        self.v5 = round["version"] == 5
        url = urlsplit(round["url"])
        web = url.scheme in ("ws", "wss")
        self.client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{round['name']}-{name}",
            clean_session=None if self.v5 else not lasting,
            protocol=mqtt.MQTTv5 if self.v5 else mqtt.MQTTv311,
            transport="websockets" if web else "tcp",
        )
        client.on_connect, client.on_subscribe, client.on_publish = self.connected, self.subscribed, self.published
        client.on_message, client.on_disconnect = self.message, self.disconnected
        if web:
            client.ws_set_options(path=url.path)
        if round.get("ca"):
            client.tls_set(ca_certs=round["ca"], certfile=round.get("cert"), keyfile=round.get("key"))
        if round.get("user") is not None:
            client.username_pw_set(round["user"], round.get("password"))
        if will:
            client.will_set(will["topic"], will["payload"], round["qos"], False, marked(round, PacketTypes.WILLMESSAGE))
        options = {}
        if self.v5:
            options = {"clean_start": not lasting, "properties": Properties(PacketTypes.CONNECT)}
            options["properties"].SessionExpiryInterval = SESSION_S if lasting == "stays" else 0
        client.connect(url.hostname, url.port, keepalive=60, **options)

    def open(self):
        self.client.loop_start()
        self.until("CONNACK", lambda: self.answer is not None)
        if self.answer.is_failure:
            raise Refused(self.answer.value)
        return self

    def die(self):
        """Lives until it is connected, then breaks the connection without a word."""
        while self.answer is None:
            self.client.loop(0.1)
        self.client.socket().close()

    def until(self, what, holds):
        with self.news:
            held = self.news.wait_for(lambda: self.fault or holds(), PATIENCE_S)
        if self.fault or not held:
            raise RuntimeError(self.fault or f"waited in vain for {what}; heard {self.heard}")

    def subscribe(self, filters):
        qos = self.round["qos"]
        _, mid = self.client.subscribe([(filter, qos) for filter in filters])
        self.until("SUBACK", lambda: mid in self.granted)
        if self.granted[mid] != [qos] * len(filters):
            raise RuntimeError(f"{filters}: granted {self.granted[mid]}")

    def publish(self, messages, qos):
        """Hands all of them over, then waits until all are acknowledged."""
        properties = marked(self.round, PacketTypes.PUBLISH)
        mids = {
            self.client.publish(
                message["topic"], message["payload"], qos, message.get("retain", False), properties
            ).mid
            for message in messages
        }
        self.until("acknowledgements", lambda: mids <= self.done)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def tell(self, change):
        with self.news:
            change()
            self.news.notify_all()

    def connected(self, _client, _userdata, _flags, code, _properties):
        self.tell(lambda: setattr(self, "answer", code))

    def subscribed(self, _client, _userdata, mid, codes, _properties):
        self.tell(lambda: self.granted.update({mid: [code.value for code in codes]}))

    def published(self, _client, _userdata, mid, code, _properties):
        self.tell(lambda: self.done.add(mid))
        if code.is_failure:
            self.tell(lambda: setattr(self, "fault", f"PUBACK {code}"))

    def message(self, _client, _userdata, message):
        mark = dict(getattr(message.properties, "UserProperty", [])).get("mark") if self.v5 else None
        heard = {
            "topic": message.topic,
            "payload": message.payload.decode(),
            "qos": message.qos,
            "retain": message.retain,
            "mark": mark,
        }
        self.tell(lambda: self.heard.append(heard))

    def disconnected(self, _client, _userdata, _flags, code, _properties):
        if code.is_failure and self.answer and not self.answer.is_failure:
            self.tell(lambda: setattr(self, "fault", f"the broker has ended the connection: {code}"))


def without(heard, end):
    return [message for message in heard if message["topic"] != end]


def play(round, links):
    def link(*arguments, **options):
        links.append(Link(round, *arguments, **options).open())
        return links[-1]

    publisher = link("publisher")
    publisher.publish(round.get("before", []), max(round["qos"], 1))
    away = round.get("away", False)
    subscribers = []
    for number, filters in enumerate(round["subscribers"]):
        subscribers.append(link(f"subscriber-{number}", lasting="stays" if away else False))
        subscribers[-1].subscribe(filters)
        if away:
            subscribers.pop().close()
    say({"name": round["name"], "subscribed": True})
    if round.get("wait"):
        sys.stdin.readline()
    if round.get("will"):
        Link(round, "willing", will=round["will"]).die()
    publisher.publish(round.get("publish", []), round["qos"])
    if away:
        numbers = range(len(round["subscribers"]))
        subscribers = [link(f"subscriber-{number}", lasting="ends") for number in numbers]
    end = round["end"]
    for subscriber in subscribers:
        subscriber.subscribe([end])
    pause = threading.Event()
    for _ in range(PATIENCE_S * 100):
        if sum(len(subscriber.heard) for subscriber in subscribers) >= round["heard"]:
            break
        pause.wait(0.01)
    # What is heard beyond what was waited for comes before the last word.
    publisher.publish([{"topic": end, "payload": "end"}], round["qos"])
    for subscriber in subscribers:
        subscriber.until("the end", lambda: any(message["topic"] == end for message in subscriber.heard))
    return [without(subscriber.heard, end) for subscriber in subscribers]


def say(seen):
    print(json.dumps(seen), flush=True)


def main():
    code = 0
    for line in iter(sys.stdin.readline, ""):
        round, links = json.loads(line), []
        try:
            say({"name": round["name"], "heard": play(round, links)})
        except Refused as refused:
            say({"name": round["name"], "refused": refused.code})
        except Exception as error:  # noqa: BLE001: whatever it was, it is reported
            say({"name": round["name"], "error": repr(error)})
            code = 1
        for link in links:
            link.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
